# shellcheck shell=sh
# interop.sh: vipd on node01 against another VRRP speaker on node02, after lab.sh and lab_enter.

# interop_manifest FAMILY VERSION PRIORITY TRANSPORT [PASSWORD]
interop_manifest()
{
	lab_nodes_yaml node01 node02 | lab_manifest node01 nodes.yaml
	{
		cat <<-YAML
			apiVersion: vipd.io/v1alpha1
			kind: VirtualIP
			metadata: {name: shared}
			spec:
			  addresses: ["$VIP"]
			  interface: eth0
			  vrrp:
			    virtualRouterID: 50
			    version: $2
			    advertisementPeriodMilliseconds: 1000
			    preemptionDelayMilliseconds: 0
			    transport: $4
			    priorities:
			    - {nodeName: node01, priority: $3}
		YAML
		if [ -n "${5-}" ]; then
			cat <<-YAML
				    authentication:
				      passwordSecretRef: {name: pass, key: password}
			YAML
		fi
		cat <<-YAML
			  ports:
			  - {name: ssh, port: 22, protocol: TCP}
		YAML
		if [ -n "${5-}" ]; then
			cat <<-YAML
				---
				apiVersion: v1
				kind: Secret
				metadata: {name: pass, namespace: vipd-system}
				stringData: {password: "$5"}
			YAML
		fi
	} | lab_manifest node01 shared.yaml
}

# Adverts on the wire must satisfy tshark as well: right checksums, no expert warning.
interop_capture_start()
{
	lab_background capture sw tcpdump -U -i br0 -n -w "$LAB/capture.pcap" vrrp or ip6 proto 112
	within 10 [ -s "$LAB/capture.pcap" ] || fail "tcpdump does not listen"
}

# interop_capture_check SOURCE: all adverts from there.
interop_capture_check()
{
	lab_stop capture
	command -v tshark >/dev/null || fail "tshark is missing; run: make deps"
	adverts=$(tshark -r "$LAB/capture.pcap" -Y "vrrp && ($1)" 2>/dev/null | wc -l)
	expect "adverts of vipd were seen ($adverts)" [ "$adverts" -gt 0 ]
	bad=$(tshark -r "$LAB/capture.pcap" -Y "vrrp && ($1) && (_ws.expert.severity >= 6291456 || !(vrrp.checksum.status == 1))" 2>/dev/null)
	expect "tshark has nothing to say against them" [ -z "$bad" ]
}

# table.awk: figures (row, size, program, unit, value, limit) as a table: median and spread of each program, the
# ratio of the medians, and the best that is possible (the median of that, too).
function sort_values(key,   n, i, j, t)
{
	n = split(values[key], v, " ")
	for (i = 2; i <= n; i++) {
		t = v[i] + 0
		for (j = i - 1; j >= 1 && v[j] + 0 > t; j--)
			v[j + 1] = v[j]
		v[j + 1] = t
	}
	return n
}
function short(x)
{
	if (x == int(x) || x >= 1000)
		return sprintf("%.0f", x)
	return x >= 100 ? sprintf("%.0f", x) : x >= 10 ? sprintf("%.1f", x) : sprintf("%.2f", x)
}
function median(key,   n)
{
	n = sort_values(key)
	return n ? (v[int((n + 1) / 2)] + v[int(n / 2) + 1]) / 2 : ""
}
function cell(key,   middle, n)
{
	middle = median(key)
	if (middle == "")
		return "-"
	n = sort_values(key)
	return v[1] == v[n] ? short(middle) : short(middle) " (" short(v[1]) ".." short(v[n]) ")"
}
{
	id = $1 FS $2
	if (!(id in seen)) {
		seen[id] = 1
		order[++rows] = id
		unit[id] = $4
	}
	values[id FS $3] = values[id FS $3] " " $5
	if ($6 != "-" && $6 != "") {
		limit[id] = $6
		values[id FS "limit"] = values[id FS "limit"] " " $6
	}
}
END {
	printf "%-62s %-11s %-24s %-24s %-7s %s\n", "", "unit", "vipd", "keepalived", "ratio", "at best"
	for (i = 1; i <= rows; i++) {
		id = order[i]
		split(id, part, FS)
		a = median(id FS "vipd")
		b = median(id FS "keepalived")
		ratio = a != "" && b != "" && b > 0 ? sprintf("%.2f", a / b) : "-"
		name = part[1] (part[2] == "" ? "" : ", " part[2])
		printf "%-62s %-11s %-24s %-24s %-7s %s\n", name, unit[id], cell(id FS "vipd"), cell(id FS "keepalived"),
			ratio, id in limit ? short(median(id FS "limit")) : "-"
	}
}

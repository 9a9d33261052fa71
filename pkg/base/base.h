/*
 * base: the ground floor: error text, ownership, time, addresses, bytes, log lines, object events.
 * Includes nothing of ours; everything may include it.
 */
#ifndef VIPD_BASE_BASE_H
#define VIPD_BASE_BASE_H

#include "base/addr.h"
#include "base/array.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/mono.h"
#include "base/netlink.h"
#include "base/object.h"
#include "base/own.h"
#include "base/utf8.h"
#include "base/verr.h"
#include "base/wire.h"

#endif

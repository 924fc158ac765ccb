/*
 * Where the IP packet begins in a captured frame, by the capture's link type.
 *
 * Knows Ethernet with any number of VLAN tags, raw IP, Linux cooked (both versions), and BSD null
 * and loop. The capture reader calls it per frame. Pure.
 */
#ifndef GH_CAPTURE_LINK_H
#define GH_CAPTURE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The link type as libpcap's DLT_ number. */
bool cap_link_known(int link_type);

/* False: the frame carries something else than IP, or is too short to tell. */
bool cap_link_find_ip(int link_type, const uint8_t *frame, size_t len, size_t *offset);

#endif

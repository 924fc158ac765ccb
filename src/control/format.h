/*
 * Words for values: endpoints, durations, TCP flags. For answers, explanations and gatectl.
 */
#ifndef GH_CONTROL_FORMAT_H
#define GH_CONTROL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcpao.h"

enum { GH_ENDPOINT_TEXT = 56, GH_SPAN_TEXT = 56, GH_FLAGS_TEXT = 40 };

/* "192.0.2.1:179", "[2001:db8::1]:179". */
const char *gh_endpoint_format(const struct tcpao_endpoint *e, char buf[GH_ENDPOINT_TEXT]);
/* The reverse. False: it is no endpoint. */
bool gh_endpoint_parse(const char *text, struct tcpao_endpoint *out);
/* The two largest units: "42 s", "5 min 3 s", "3 h 12 min", "29 d 4 h". Negative counts as zero. */
const char *gh_span_format(int64_t seconds, char buf[GH_SPAN_TEXT]);
/* "SYN+ACK"; "none". */
const char *gh_tcp_flags_format(uint8_t flags, char buf[GH_FLAGS_TEXT]);

#endif

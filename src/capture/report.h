/*
 * What verify-pcap prints: a line for each segment, a summary of each connection, the totals; or
 * the same as one JSON object. Only verify.c calls it.
 */
#ifndef GH_CAPTURE_REPORT_H
#define GH_CAPTURE_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "capture/verifier.h"

/* Without --verbose: how many segments of one connection that are neither good nor failed are
 * shown for each verdict. Failed ones are always shown. */
enum { CAP_SHOWN_PER_VERDICT = 5 };

/* Is this segment worth a line? Call it as soon as the segment is judged. */
bool cap_report_shows(const struct cap_segment *seg, bool verbose);

void cap_report_segment(FILE *out, const struct cap_segment *seg);
void cap_report_connection(FILE *out, const struct cap_connection *c);
/* Ends with the line "verified N, failed N, incomplete N". */
void cap_report_totals(FILE *out, const struct cap_totals *t);

json_t *cap_json_segment(const struct cap_segment *seg);
json_t *cap_json_connection(const struct cap_connection *c);
json_t *cap_json_totals(const struct cap_totals *t);

#endif

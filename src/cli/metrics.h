/*
 * `gatectl show metrics`: what the daemon's answers have in numbers, in Prometheus' text format
 * (0.0.4).
 */
#ifndef GH_CLI_METRICS_H
#define GH_CLI_METRICS_H

#include <jansson.h>
#include <stdio.h>

/* answers: by the request's op; one that is not there has no metrics. Pure. */
void cli_metrics_write(const json_t *answers, FILE *out);

#endif

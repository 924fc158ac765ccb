/* The parts of gh_explain(), each in its own file. Not for others. */
#ifndef GH_CONTROL_EXPLAIN_PARTS_H
#define GH_CONTROL_EXPLAIN_PARTS_H

#include "control/explain.h"

/* What is certain comes before what was refused, and that before what was not seen at all. */
enum { RANK_FACT = 1000, RANK_REFUSED = 500, RANK_SILENCE = 300, RANK_GUESS = 100 };

/* Highest rank first, equal ranks as they were found. */
void gh_findings_sort(struct gh_explanation *x);
/* Adds a finding (the last one is overwritten when the list is full: it is the least likely). */
struct gh_finding *gh_find(struct gh_explanation *x, enum gh_cause cause, int rank);
void gh_find_summary(struct gh_finding *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void gh_find_evidence(struct gh_finding *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void gh_find_check(struct gh_finding *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* "192.0.2.2", or the session's prefix when no peer is meant. */
const char *gh_evidence_peer(const struct gh_evidence *e, char buf[GH_PREFIX_TEXT]);
/* The connection that says most: an established one, else the youngest. NULL: none. */
const struct ao_connection_view *gh_evidence_connection(const struct gh_evidence *e);

/* Our own side: not in force, no key valid now. */
void gh_explain_local(const struct gh_evidence *e, struct gh_explanation *x);
/* What the engine refused, by reason; `since`: only later refusals count. */
void gh_explain_refusals(const struct gh_evidence *e, int64_t since, struct gh_explanation *x);
/* What is missing: packets of one direction, or of both. */
void gh_explain_silence(const struct gh_evidence *e, struct gh_explanation *x);
/* backend = kernel where that cannot be: true, and nothing else matters. */
bool gh_explain_no_carrier(const struct gh_evidence *e, struct gh_explanation *x);
/* Silence where the kernel carries the session: the engine sees no packet of it. */
void gh_explain_kernel_silence(const struct gh_evidence *e, struct gh_explanation *x);
/* An established connection. */
void gh_explain_up(const struct gh_evidence *e, const struct ao_connection_view *c,
                   struct gh_explanation *x);

#endif

/*
 * One judged segment of a capture: what it was and what became of it.
 *
 * Made by the verifier, printed by the report.
 */
#ifndef GH_CAPTURE_SEGMENT_H
#define GH_CAPTURE_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcpao.h"
#include "wire/ip.h"

struct cap_connection;
struct gh_session;

/* What became of a segment; the sum it counts into, and the word in the output. */
#define CAP_VERDICTS(X)                                                                            \
    X(GOOD, "good", VERIFIED)                                                                      \
    X(BAD, "bad", FAILED)                                                                          \
    X(KEY_UNKNOWN, "key-unknown", FAILED)                                                          \
    X(MALFORMED, "malformed", FAILED)                                                              \
    X(SYN_MISSING, "syn-missing", INCOMPLETE)                                                      \
    X(TRUNCATED, "truncated", INCOMPLETE)                                                          \
    X(FRAGMENT, "fragment", INCOMPLETE)                                                            \
    X(NO_SESSION, "no-session", INCOMPLETE)                                                        \
    X(NO_OPTION, "no-option", UNSIGNED)

enum cap_sum { CAP_VERIFIED, CAP_FAILED, CAP_INCOMPLETE, CAP_UNSIGNED, CAP_SUMS };

enum cap_verdict {
#define CAP_VERDICT_ENUM(id, name, sum) CAP_##id,
    CAP_VERDICTS(CAP_VERDICT_ENUM)
#undef CAP_VERDICT_ENUM
        CAP_VERDICT_COUNT
};
const char *cap_verdict_name(enum cap_verdict v);
enum cap_sum cap_verdict_sum(enum cap_verdict v);

enum { CAP_NOTE_TEXT = 320 };

/* One segment that was judged. */
struct cap_segment {
    uint64_t frame;
    int64_t seconds;
    uint32_t microseconds;
    const struct cap_connection *connection;
    struct tcpao_endpoint src, dst;
    struct gh_tcp_segment tcp; /* all zero but the ports when the header is cut */
    struct tcpao_option option;
    enum cap_verdict verdict;
    const struct gh_session *session; /* NULL: none covers the flow */
    bool key_known;                   /* good: the key that made the MAC */
    uint32_t key;
    bool repeated;            /* a good segment that brings nothing new: a retransmit or a replay */
    char note[CAP_NOTE_TEXT]; /* why, and what to change; may be empty */
};

/* Appends a remark to the segment's note; what does not fit is cut. */
void cap_note(struct cap_segment *seg, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

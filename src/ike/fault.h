/*
 * What can be wrong with an IKEv2 message, and what it deserves: silence or a notification.
 *
 * Every parser of this directory returns one; outputs are untouched unless it is IKE_OK. Nothing
 * here sends: whoever owns the SA asks ike_fault_notify() and decides (RFC 7296 2.21), for an
 * answer to what is not authenticated, and to any response, is no answer at all.
 */
#ifndef IKE_FAULT_H
#define IKE_FAULT_H

#include "ike/codes.h"

/* X(constant, notification or 0 for silence, in words) */
#define IKE_FAULTS(X)                                                                              \
    X(IKE_OK, 0, "ok")                                                                             \
    X(IKE_NO_IKE, 0, "no IKE message: shorter or longer than its header says")                     \
    X(IKE_OLD_VERSION, 0, "IKE version 1")                                                         \
    X(IKE_NEW_VERSION, IKE_N_INVALID_MAJOR_VERSION, "a major version above 2")                     \
    X(IKE_SYNTAX, IKE_N_INVALID_SYNTAX, "malformed")                                               \
    X(IKE_TOO_MANY, IKE_N_INVALID_SYNTAX, "more of something than we take")                        \
    X(IKE_CRITICAL, IKE_N_UNSUPPORTED_CRITICAL_PAYLOAD, "an unknown critical payload")             \
    X(IKE_MISSING, IKE_N_INVALID_SYNTAX, "a payload is missing")                                   \
    X(IKE_TWICE, IKE_N_INVALID_SYNTAX, "a payload stands there twice")                             \
    X(IKE_MISPLACED, IKE_N_INVALID_SYNTAX, "a payload that has no business there")                 \
    X(IKE_WRONG_EXCHANGE, 0, "not the exchange, direction or state that was expected")             \
    X(IKE_NOT_SEALED, 0, "in clear, but must be encrypted")                                        \
    X(IKE_SEALED, 0, "encrypted, but must be in clear")                                            \
    X(IKE_NOT_AUTHENTIC, 0, "integrity check failed")                                              \
    X(IKE_PADDING, IKE_N_INVALID_SYNTAX, "padding longer than the content")                        \
    X(IKE_FRAGMENT_NUMBER, 0, "fragment number or total out of range")                             \
    X(IKE_FRAGMENT_OLD, 0, "fragment of a set that a newer one replaced")                          \
    X(IKE_FRAGMENT_REPLAY, 0, "fragment that we have")                                             \
    X(IKE_FRAGMENT_OTHER, 0, "fragment of another message")                                        \
    X(IKE_FRAGMENT_LIMIT, 0, "fragments beyond the limit")                                         \
    X(IKE_LOCAL, 0, "no memory or no cryptography here")

#define IKE_FAULT_ENUM(constant, notify, text) constant,
enum ike_fault { IKE_FAULTS(IKE_FAULT_ENUM) IKE_FAULT_COUNT };
#undef IKE_FAULT_ENUM

/* What a request with this fault is answered with; 0: dropped without a word. */
enum ike_notify_type ike_fault_notify(enum ike_fault fault);
const char *ike_fault_text(enum ike_fault fault);

#endif

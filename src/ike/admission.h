/*
 * Which payloads may stand in which message: one table, for requests and responses of every
 * exchange in each state of the IKE SA.
 *
 * The core knows which step it is at and asks before it looks at any payload. A message that is
 * admitted has all that the step needs, nothing twice that stands alone, nothing in clear that must
 * be sealed; each known payload's body parses; unknown payloads that are not critical are skipped
 * by whoever looks for known ones. Meaning (proposals, identities, selectors) is not judged here.
 */
#ifndef IKE_ADMISSION_H
#define IKE_ADMISSION_H

#include "ike/notify.h"
#include "ike/payload.h"

/* A step is an exchange, or one of the forms that it can have; each has a request and a response.
 */
#define IKE_STEPS(X)                                                                               \
    X(IKE_STEP_SA_INIT, "IKE_SA_INIT")                                                             \
    X(IKE_STEP_RESUME, "IKE_SESSION_RESUME")                                                       \
    X(IKE_STEP_INTERMEDIATE, "IKE_INTERMEDIATE")                                                   \
    X(IKE_STEP_AUTH, "IKE_AUTH")                                                                   \
    X(IKE_STEP_AUTH_EAP_BEGIN, "IKE_AUTH (EAP begins)")                                            \
    X(IKE_STEP_AUTH_EAP, "IKE_AUTH (EAP goes on)")                                                 \
    X(IKE_STEP_AUTH_EAP_END, "IKE_AUTH (after EAP)")                                               \
    X(IKE_STEP_CHILD_NEW, "CREATE_CHILD_SA (new Child SA)")                                        \
    X(IKE_STEP_CHILD_REKEY, "CREATE_CHILD_SA (rekey Child SA)")                                    \
    X(IKE_STEP_IKE_REKEY, "CREATE_CHILD_SA (rekey IKE SA)")                                        \
    X(IKE_STEP_FOLLOWUP_KE, "IKE_FOLLOWUP_KE")                                                     \
    X(IKE_STEP_INFORMATIONAL, "INFORMATIONAL")                                                     \
    X(IKE_STEP_STRAY, "notification outside of any IKE SA")

#define IKE_STEP_ENUM(constant, name) constant,
enum ike_step { IKE_STEPS(IKE_STEP_ENUM) IKE_STEP_COUNT };
#undef IKE_STEP_ENUM

enum ike_state {
    IKE_STATE_NONE = 1, /* no IKE SA: a first request, or something stray */
    IKE_STATE_HALF_OPEN =
        2, /* keys, but nobody is authenticated; or waiting for the first response */
    IKE_STATE_ESTABLISHED = 4 /* after IKE_AUTH */
};

/* Payload types 33 … 54 as a set. */
typedef uint32_t ike_payload_set;
#define IKE_SET(type) (UINT32_C(1) << ((type)-IKE_P_SA))

enum { IKE_INSTEAD_MAX = 3 };

/* One row of the table: one direction of one step. */
struct ike_admission {
    uint8_t exchange; /* 0: any */
    uint8_t states;   /* in which it may come */
    bool sealed;      /* must be; else must not be */
    ike_payload_set need;
    ike_payload_set may;      /* beside those needed; Notify and Vendor ID stand in each row */
    ike_payload_set idle;     /* some peers put them there; nobody looks at them */
    ike_payload_set many;     /* those that may stand there more than once */
    ike_payload_set together; /* all of these or none */
    ike_payload_set beside;   /* in clear beside the envelope, once */
    uint16_t need_notify;     /* 0: none in particular */
    bool error_instead;       /* an error notification may stand there instead of what is needed */
    uint16_t instead[IKE_INSTEAD_MAX]; /* and these, although no errors */
    const char *story;
};

/* The row, never NULL. */
const struct ike_admission *ike_admission_row(enum ike_step step, bool response);
/* NULL if the table is consistent, else what is wrong with it. At start and in a test. */
const char *ike_admission_self_check(void);

struct ike_verdict {
    enum ike_fault fault;
    uint8_t payload;   /* the type that it is about; 0: none in particular */
    uint16_t notify;   /* what to answer with; 0: drop. Never for a response. The data of
                        * UNSUPPORTED_CRITICAL_PAYLOAD is `payload`. */
    uint16_t refused;  /* IKE_OK, response: the notification that stands there instead of what
                        * is needed (NO_PROPOSAL_CHOSEN, COOKIE, …); 0: all is there */
    const char *story; /* of the row, for logs */
};

/*
 * `inner` is the opened chain, NULL if the message has none. True: admitted.
 *
 * Two calls are possible: ike_admit_header() before the message is decrypted, and this one (which
 * asks that again) after.
 */
bool ike_admit(enum ike_step step, bool response, enum ike_state state, const struct ike_message *m,
               const struct ike_payloads *inner, struct ike_verdict *verdict);
/* Exchange, direction, state, sealed or not, nothing beside the envelope. */
bool ike_admit_header(enum ike_step step, bool response, enum ike_state state,
                      const struct ike_message *m, struct ike_verdict *verdict);

/* Which form a first IKE_AUTH response has that answers a request without AUTH: EAP_BEGIN. Which
 * form a CREATE_CHILD_SA request has, by its SA payload and REKEY_SA. */
enum ike_step ike_child_step(const struct ike_payloads *inner);

/*
 * Whether a notification is heard at this step; what is not (unknown, misplaced, errors in
 * requests) has to be ignored (RFC 7296 3.10.1). `syntax` (may be NULL) gets IKE_SYNTAX if it is
 * heard, but its SPI or data has an impossible length.
 */
bool ike_notify_heard(enum ike_step step, bool response, const struct ike_notify *n,
                      enum ike_fault *syntax);

const char *ike_step_name(enum ike_step step);

#endif

/*
 * Sealed messages on their way: Message IDs (RFC 7296 2.2), retransmission (2.1), fragments
 * (RFC 7383), and who is meant by a message that comes.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/cipher.h"
#include "ike/admission.h"
#include "ike/fragment.h"
#include "ike/sk.h"
#include "ike/v2/auth.h"
#include "ike/v2/crash.h"
#include "ike/v2/create.h"
#include "ike/v2/failover.h"
#include "ike/v2/flight.h"
#include "ike/v2/followup.h"
#include "ike/v2/gate.h"
#include "ike/v2/inform.h"
#include "ike/v2/intermediate.h"
#include "ike/v2/keys.h"
#include "ike/v2/mobike.h"
#include "ike/v2/priv.h"
#include "ike/v2/redirect.h"
#include "ike/v2/resume.h"
#include "ike/v2/sa.h"
#include "ike/v2/tell.h"
#include "ike/v2/window.h"
#include "wire/rd.h"

static struct ike_reassembly_limits reassembly_limits(const struct ike2 *c)
{
    return (struct ike_reassembly_limits){
        .fragments = 128, .octets = 65536, .lifetime_ms = c->settings.reassembly_ms};
}

/* ---- Flights -------------------------------------------------------------------------------- */

/* Makes it with its first datagram. */
static bool flight_add(struct ike2_flight **f, uint32_t id, struct gh_view datagram)
{
    size_t len = *f != NULL ? (*f)->len : 0;
    struct ike2_flight *more = realloc(*f, sizeof(*more) + len + 2 + datagram.len);
    struct gh_wr w;

    if (more == NULL)
        return false;
    *f = more;
    w = gh_wr_make(more->octets + len, 2 + datagram.len);
    gh_wr_u16(&w, datagram.len);
    gh_wr_bytes(&w, datagram.p, datagram.len);
    more->next = NULL;
    more->id = id;
    more->len = (uint32_t)(len + w.len);
    return gh_wr_ok(&w);
}

void ike2_send(struct ike2 *c, const struct ike2_endpoint *local,
               const struct ike2_endpoint *remote, bool marker, struct gh_view octets)
{
    struct ike2_datagram d = {
        .local = *local, .remote = *remote, .marker = marker, .len = octets.len};

    memcpy(c->out, octets.p, octets.len); /* the shell may write into it */
    d.data = c->out;
    ike2_count(c, IKE2_COUNT_OUT);
    c->ops.send(c->ops.ctx, &d);
}

static void send_flight(struct ike2 *c, struct ike2_sa *sa, const struct ike2_flight *f,
                        const struct ike2_path *path)
{
    struct gh_rd r = gh_rd_make(f->octets, f->len);

    while (gh_rd_left(&r) > 0) {
        size_t len = gh_rd_u16(&r);
        const uint8_t *octets = gh_rd_bytes(&r, len);

        if (octets == NULL)
            return;
        ike2_send(c, &path->local, &path->remote, path->marker, gh_view_of(octets, len));
    }
    sa->last_out_ms = c->now.mono_ms;
}

static void send_request(struct ike2 *c, struct ike2_sa *sa, const struct ike2_task *t)
{
    const struct ike2_path path = {sa->local, sa->remote, sa->marker};

    sa->traffic.out++;
    send_flight(c, sa, t->request, &path);
}

void ike2_send_requests(struct ike2 *c, struct ike2_sa *sa)
{
    for (const struct ike2_task *t = sa->task; t != NULL; t = t->next)
        if (t->transmissions > 0)
            send_request(c, sa, t);
}

void ike2_send_response(struct ike2 *c, struct ike2_sa *sa, uint32_t id)
{
    const struct ike2_flight *f = ike2_kept_response(sa, id);

    if (f == NULL)
        return;
    sa->traffic.out++;
    send_flight(c, sa, f, &sa->asked);
}

struct ike2_path ike2_path_of(const struct ike2_datagram *d)
{
    return (struct ike2_path){d->local, d->remote, d->marker};
}

/* ---- Sealing -------------------------------------------------------------------------------- */

struct ike_out ike2_inner(struct ike2 *c)
{
    return ike_out_inner(c->inner, sizeof(c->inner));
}

static struct gh_view next_iv(struct ike2 *c, struct ike2_sa *sa, uint8_t iv[GH_CIPHER_IV_MAX])
{
    size_t len = gh_cipher_iv_len(sa->out);

    if (gh_enc_iv_random((enum gh_enc_alg)sa->suite.encr)) {
        c->ops.random(c->ops.ctx, iv, len);
    } else {
        memset(iv, 0, GH_CIPHER_IV_MAX);
        sa->iv++;
        for (size_t i = 0; i < 8 && i < len; i++)
            iv[len - 1 - i] = (uint8_t)(sa->iv >> 8 * i);
    }
    return gh_view_of(iv, len);
}

/* The solution to a puzzle stands in front of what is sealed. NULL: there is none. */
static const struct ike_payload *beside(const struct ike2_sa *sa, const struct ike_header *h,
                                        struct ike_payload *ps)
{
    *ps = (struct ike_payload){.type = IKE_P_PS};
    if (h->exchange == IKE_X_AUTH && !ike_header_is_response(h))
        ps->body = ike2_gate_solution(sa);
    return ps->body.len > 0 ? ps : NULL;
}

static bool seal(struct ike2 *c, struct ike2_sa *sa, const struct ike_header *h, uint8_t first,
                 struct gh_view inner, struct ike2_flight **f)
{
    size_t mtu = sa->policy != NULL ? sa->policy->mtu : 1500;
    size_t ip = sa->remote.addr.len == 16 ? 40 : 20;
    struct ike_fragment_plan plan;
    uint8_t iv[GH_CIPHER_IV_MAX];
    struct gh_view datagram;
    struct ike_payload ps;
    const struct ike_payload *in_front = beside(sa, h, &ps);

    if (in_front != NULL)
        mtu -= IKE_PAYLOAD_HEADER_LEN + ps.body.len;
    if (!ike2_ciphers(sa))
        return false;
    if (!sa->fragmentation || ike_fragment_needless(sa->out, inner.len, mtu, ip, sa->marker))
        return ike_sk_seal_beside(sa->out, h, in_front, first, inner, next_iv(c, sa, iv), c->out,
                                  sizeof(c->out), &datagram) &&
               flight_add(f, h->id, datagram);
    if (!ike_fragment_plan(sa->out, inner.len, mtu, ip, sa->marker, 0, &plan))
        return false;
    for (uint16_t n = 1; n <= plan.total; n++) {
        if (!ike_fragment_seal_beside(sa->out, h, in_front, first, inner, &plan, n,
                                      next_iv(c, sa, iv), c->out, sizeof(c->out), &datagram) ||
            !flight_add(f, h->id, datagram))
            return false;
    }
    return true;
}

static struct ike2_flight *sealed(struct ike2 *c, struct ike2_sa *sa, const struct ike_header *h,
                                  struct ike_out *inner)
{
    struct ike2_flight *f = NULL;
    struct gh_view octets;

    if (ike_out_done(inner, &octets) && seal(c, sa, h, inner->first, octets, &f))
        return f;
    free(f);
    ike2_count(c, IKE2_COUNT_NO_MEMORY);
    return NULL;
}

struct ike_header ike2_header(const struct ike2_sa *sa, uint8_t exchange, uint32_t id,
                              bool response)
{
    struct ike_header h = {.version = IKE_VERSION_2, .exchange = exchange, .id = id};

    memcpy(h.spi_i, sa->spi_i, IKE_SPI_LEN);
    memcpy(h.spi_r, sa->spi_r, IKE_SPI_LEN);
    h.flags =
        (uint8_t)((sa->initiator ? IKE_FLAG_INITIATOR : 0) | (response ? IKE_FLAG_RESPONSE : 0));
    return h;
}

static void begin_retransmission(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t)
{
    uint32_t first = sa->policy != NULL ? sa->policy->retransmit_ms : 1000;

    t->transmissions = 1;
    t->retransmit_at = c->now.mono_ms + first;
}

void ike2_begin_retransmission(struct ike2 *c, struct ike2_sa *sa)
{
    for (struct ike2_task *t = sa->task; t != NULL; t = t->next)
        if (t->transmissions > 0)
            begin_retransmission(c, sa, t);
}

void ike2_requests_go(struct ike2 *c, struct ike2_sa *sa)
{
    for (struct ike2_task *t = sa->task; t != NULL; t = t->next) {
        if (t->request == NULL || t->transmissions > 0 || !ike2_window_has(sa, t->request->id))
            continue;
        send_request(c, sa, t);
        begin_retransmission(c, sa, t);
    }
}

static void put_request(struct ike2_task *t, struct ike2_flight *f)
{
    free(t->request);
    t->request = f;
    t->transmissions = 0;
    t->retransmit_at = 0;
}

bool ike2_request(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t, uint8_t exchange,
                  struct ike_out *inner)
{
    struct ike_header h = ike2_header(sa, exchange, sa->send_id, false);
    struct ike2_flight *f = sealed(c, sa, &h, inner);

    if (f == NULL)
        return false;
    sa->send_id++;
    put_request(t, f);
    ike2_requests_go(c, sa);
    return true;
}

bool ike2_request_plain(struct ike2 *c, struct ike2_sa *sa, struct gh_view octets)
{
    struct ike2_flight *f = NULL;

    if (!flight_add(&f, 0, octets))
        return false;
    sa->send_id = 1;
    put_request(sa->task, f);
    ike2_requests_go(c, sa);
    return true;
}

bool ike2_respond(struct ike2 *c, struct ike2_sa *sa, uint8_t exchange, struct ike_out *inner)
{
    struct ike_header h = ike2_header(sa, exchange, sa->asked_id, true);
    struct ike2_flight *f = sealed(c, sa, &h, inner);

    ike2_window_answered(sa); /* whatever becomes of it */
    if (f == NULL)
        return false;
    ike2_keep_response(sa, f);
    ike2_send_response(c, sa, h.id);
    return true;
}

bool ike2_keep_plain(struct ike2_sa *sa, struct gh_view octets)
{
    struct ike2_flight *f = NULL;

    if (!flight_add(&f, 0, octets))
        return false;
    ike2_keep_response(sa, f);
    return true;
}

void ike2_respond_notify(struct ike2 *c, struct ike2_sa *sa, uint8_t exchange, uint16_t type,
                         struct gh_view data)
{
    struct ike_out o = ike2_inner(c);

    ike_notify_emit_data(&o, type, data);
    ike2_respond(c, sa, exchange, &o);
    /* Fatal at both ends (RFC 7296 2.21.2, 2.21.3). */
    if (sa->state < IKE2_STATE_ESTABLISHED && sa->setup != NULL)
        sa->setup->refused = true;
    else if (type == IKE_N_INVALID_SYNTAX)
        ike2_sa_lost(c, sa, IKE2_RETRY_MS);
}

void ike2_retransmit(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t)
{
    const struct ike2_policy *p = sa->policy;
    unsigned most = t->kind == IKE2_TASK_LIVENESS ? p->liveness_retries : p->retransmits;
    unsigned shift = t->transmissions < IKE2_DOUBLINGS ? t->transmissions : IKE2_DOUBLINGS;

    if (ike2_resume_gave_up(c, sa))
        return;
    if (t->transmissions > most && sa->mobile != NULL && ike2_mobike_other_way(c, sa))
        return;
    if (t->transmissions > most && (sa->mobile == NULL || !ike2_mobike_is_patient(sa, t))) {
        bool up = sa->state >= IKE2_STATE_ESTABLISHED;

        ike2_fail(c, sa, up ? IKE2_COUNT_PEER_DEAD : IKE2_COUNT_TIMED_OUT,
                  up ? "the peer answers no more: nothing came after %u transmissions"
                     : "no answer after %u transmissions",
                  t->transmissions);
        /* Deleted as we wanted, although nobody confirms it. */
        if (sa->state == IKE2_STATE_DELETING && t->why != IKE2_REMOVED_LOST) {
            ike2_sa_die(c, sa, t->why);
        } else {
            ike2_redirect_failed(c, sa->policy);
            if (!ike2_failover(c, sa))
                ike2_sa_lost(c, sa, 0);
        }
        return;
    }
    ike2_count(c, IKE2_COUNT_RETRANSMITTED);
    sa->traffic.retransmitted++;
    sa->traffic.liveness_timeouts += t->kind == IKE2_TASK_LIVENESS;
    send_request(c, sa, t);
    t->transmissions++;
    t->retransmit_at = c->now.mono_ms + ((uint64_t)p->retransmit_ms << shift);
}

/* ---- Coming in ------------------------------------------------------------------------------ */

static enum ike_state class_of(const struct ike2_sa *sa)
{
    return sa->state >= IKE2_STATE_ESTABLISHED ? IKE_STATE_ESTABLISHED : IKE_STATE_HALF_OPEN;
}

/* What step a request is, as far as its header tells; CREATE_CHILD_SA has three. */
static bool step_of_request(const struct ike_message *m, enum ike_step *step)
{
    switch (m->h.exchange) {
    case IKE_X_INTERMEDIATE:
        *step = IKE_STEP_INTERMEDIATE;
        return true;
    case IKE_X_AUTH:
        *step = IKE_STEP_AUTH;
        return true;
    case IKE_X_CREATE_CHILD_SA:
        *step = IKE_STEP_CHILD_NEW;
        return true;
    case IKE_X_FOLLOWUP_KE:
        *step = IKE_STEP_FOLLOWUP_KE;
        return true;
    case IKE_X_INFORMATIONAL:
        *step = IKE_STEP_INFORMATIONAL;
        return true;
    default:
        return false;
    }
}

static enum ike_step step_of_task(const struct ike2_task *t)
{
    if (t->followup != NULL)
        return IKE_STEP_FOLLOWUP_KE;
    switch (t->kind) {
    case IKE2_TASK_INTERMEDIATE:
        return IKE_STEP_INTERMEDIATE;
    case IKE2_TASK_AUTH:
        return IKE_STEP_AUTH;
    case IKE2_TASK_CHILD_NEW:
        return IKE_STEP_CHILD_NEW;
    case IKE2_TASK_CHILD_REKEY:
        return IKE_STEP_CHILD_REKEY;
    case IKE2_TASK_IKE_REKEY:
        return IKE_STEP_IKE_REKEY;
    default:
        return IKE_STEP_INFORMATIONAL;
    }
}

/* Opens a message, whole or the last fragment of one. False: nothing to look at (yet). */
static bool open_message(struct ike2 *c, struct ike2_sa *sa, const struct ike2_datagram *d,
                         struct ike_message *m, struct gh_view *inner, uint8_t *first)
{
    bool response = ike_header_is_response(&m->h);
    const struct ike_reassembly_limits limits = reassembly_limits(c);
    enum ike_fault fault = IKE_LOCAL;

    if (!ike2_ciphers(sa)) {
        ike2_count(c, IKE2_COUNT_NO_MEMORY);
        return false;
    }
    if (m->sealed.type == IKE_P_SKF && sa->fragmentation) {
        struct ike_reassembly *r = ike2_partial(c, sa, response, m->h.id);

        if (r == NULL)
            return false;
        switch (
            ike_reassembly_take(r, &limits, c->now.mono_ms, sa->in, d->data, m, inner, &fault)) {
        case IKE_FRAGMENT_STORED:
            return false;
        case IKE_FRAGMENT_WHOLE:
            *first = r->first;
            m->sealed.flags = r->flags;
            return true;
        default:
            if (r->total == 0)
                ike2_partial_drop(sa, response, m->h.id);
            break;
        }
    } else {
        fault = ike_sk_open(sa->in, d->data, m, inner);
        *first = m->sealed.first;
    }
    if (fault == IKE_OK)
        return true;
    sa->traffic.bad++;
    ike2_count(c, fault == IKE_NOT_AUTHENTIC ? IKE2_COUNT_NOT_AUTHENTIC : IKE2_COUNT_MALFORMED);
    return false;
}

static bool same_endpoint(const struct ike2_endpoint *a, const struct ike2_endpoint *b)
{
    return a->port == b->port && gh_addr_equal(&a->addr, &b->addr);
}

static bool same_path(const struct ike2_path *a, const struct ike2_path *b)
{
    return a->marker == b->marker && same_endpoint(&a->local, &b->local) &&
           same_endpoint(&a->remote, &b->remote);
}

/* The initiator goes on from port 4500 once it has seen a NAT, and the responder with it; later the
 * NAT may give the peer another address or port (RFC 7296 2.23). */
static void follow(struct ike2 *c, struct ike2_sa *sa, const struct ike2_datagram *d, bool response)
{
    const struct ike2_path was = {sa->local, sa->remote, sa->marker}, is = ike2_path_of(d);
    bool first = !sa->initiator && sa->state == IKE2_STATE_AUTH;

    sa->last_in_ms = c->now.mono_ms;
    sa->traffic.in++;
    if (!response)
        sa->asked = is;
    if (same_path(&was, &is) ||
        (!first && (!sa->nat_remote || sa->nat_local || sa->mobile != NULL))) /* RFC 4555 3.8 */
        return;
    sa->local = d->local;
    sa->remote = d->remote;
    sa->marker = d->marker;
    if (first)
        return;
    ike2_tell(c, sa, IKE2_EVENT_MOVED, 0, "its address or port behind the NAT changed");
    ike2_children_moved(c, sa);
}

static void handle_request(struct ike2 *c, struct ike2_sa *sa, const struct ike_message *m,
                           uint8_t first, struct gh_view octets)
{
    struct ike_payloads in = {.count = 0};
    struct ike_verdict v = {.fault = IKE_SYNTAX};
    enum ike_step step;
    enum ike_fault fault = ike_payloads_parse(first, octets, &in);

    if (!step_of_request(m, &step)) {
        ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
        if (class_of(sa) == IKE_STATE_ESTABLISHED)
            ike2_respond_notify(c, sa, m->h.exchange, IKE_N_INVALID_SYNTAX, gh_view_of(NULL, 0));
        return;
    }
    if (fault == IKE_OK && step == IKE_STEP_CHILD_NEW)
        step = ike_child_step(&in);
    if (fault != IKE_OK) {
        ike2_count(c, IKE2_COUNT_MALFORMED);
        if (ike_fault_notify(fault) != 0)
            ike2_respond_notify(c, sa, m->h.exchange, (uint16_t)ike_fault_notify(fault),
                                gh_view_of(NULL, 0));
        return;
    }
    if (!ike_admit(step, false, class_of(sa), m, &in, &v)) {
        if (v.notify == 0 && class_of(sa) == IKE_STATE_ESTABLISHED)
            v.notify = IKE_N_INVALID_SYNTAX; /* RFC 7296 2.21.3: some answer there must be */
        if (v.notify == 0) {
            ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
        } else {
            bool critical = v.notify == IKE_N_UNSUPPORTED_CRITICAL_PAYLOAD;

            ike2_fail(c, sa, IKE2_COUNT_NOT_ADMITTED, "%s request refused: %s", ike_step_name(step),
                      ike_fault_text(v.fault));
            ike2_respond_notify(c, sa, m->h.exchange, v.notify,
                                gh_view_of(&v.payload, critical ? 1 : 0));
        }
        return;
    }
    if (step == IKE_STEP_INTERMEDIATE)
        ike2_intermediate_request(c, sa, m, &in, first, octets);
    else if (step == IKE_STEP_AUTH)
        ike2_auth_request(c, sa, &in, first, octets);
    else if (step == IKE_STEP_INFORMATIONAL)
        ike2_inform_request(c, sa, &in);
    else if (step == IKE_STEP_FOLLOWUP_KE)
        ike2_followup_request(c, sa, &in);
    else
        ike2_create_request(c, sa, &in);
}

static void handle_response(struct ike2 *c, struct ike2_sa *sa, struct ike2_task *t,
                            const struct ike_message *m, uint8_t first, struct gh_view octets)
{
    enum ike_step step = step_of_task(t);
    struct ike_payloads in = {.count = 0};
    struct ike_verdict v = {.fault = IKE_SYNTAX};

    if (ike_payloads_parse(first, octets, &in) != IKE_OK ||
        !ike_admit(step, true, class_of(sa), m, &in, &v)) {
        ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
        ike2_tell(c, sa, IKE2_EVENT_STORY, 0, "%s response cannot be: %s", ike_step_name(step),
                  ike_fault_text(v.fault));
        return; /* it is authentic, but no answer: the request is repeated until its end */
    }
    put_request(t, NULL);
    if (step != IKE_STEP_AUTH && ike_has_notify(&in, IKE_N_INVALID_SYNTAX)) {
        ike2_fail(c, sa, IKE2_COUNT_NOT_ADMITTED, "the peer found our %s request malformed",
                  ike_step_name(step));
        ike2_sa_lost(c, sa, IKE2_RETRY_MS);
        return;
    }
    switch (t->kind) {
    case IKE2_TASK_INTERMEDIATE:
        ike2_intermediate_response(c, sa, m, &in, first, octets);
        break;
    case IKE2_TASK_AUTH:
        ike2_auth_response(c, sa, &in, first, octets);
        break;
    case IKE2_TASK_CHILD_NEW:
    case IKE2_TASK_CHILD_REKEY:
    case IKE2_TASK_IKE_REKEY:
        if (t->followup != NULL)
            ike2_followup_response(c, sa, t, &in);
        else
            ike2_create_response(c, sa, t, &in, first, octets);
        break;
    default:
        ike2_inform_response(c, sa, t, &in);
        break;
    }
}

/* The peer sealed it, although nothing is made of it. */
static bool is_authentic(struct ike2 *c, struct ike2_sa *sa, const struct ike2_datagram *d,
                         const struct ike_message *m)
{
    const struct ike_reassembly_limits limits = reassembly_limits(c);
    struct ike_reassembly r = {.total = 0};
    enum ike_fault fault = IKE_LOCAL;
    struct gh_view inner;

    if (!ike2_ciphers(sa))
        return false;
    if (m->sealed.type == IKE_P_SKF) {
        if (ike_reassembly_take(&r, &limits, c->now.mono_ms, sa->in, d->data, m, &inner, &fault) !=
            IKE_FRAGMENT_REFUSED)
            fault = IKE_OK;
        ike_reassembly_clear(&r);
    } else {
        fault = ike_sk_open(sa->in, d->data, m, &inner);
    }
    return fault == IKE_OK;
}

/* The NAT may have moved the peer between its request and the repetition: then the answer that got
 * lost went to where nobody is. A stranger's word is not enough for sending it elsewhere. */
static bool comes_from_peer(struct ike2 *c, struct ike2_sa *sa, const struct ike2_datagram *d,
                            const struct ike_message *m)
{
    const struct ike2_path path = ike2_path_of(d);

    return same_path(&path, &sa->asked) || is_authentic(c, sa, d, m);
}

/* A request that was answered: the answer again, if it is kept. */
static void repeated(struct ike2 *c, struct ike2_sa *sa, const struct ike2_datagram *d,
                     const struct ike_message *m)
{
    uint16_t number = 1, total;

    if (ike2_kept_response(sa, m->h.id) == NULL) {
        ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
        return;
    }
    ike_fragment_number(m, &number, &total);
    ike2_count(c, IKE2_COUNT_REPEATED);
    if (number == 1 && comes_from_peer(c, sa, d, m)) { /* RFC 7383 2.6.1: not for each fragment */
        sa->asked = ike2_path_of(d);
        ike2_send_response(c, sa, m->h.id);
    }
    if (sa->mobile != NULL && ike2_mobike_wonders(sa))
        ike2_mobike_try(c, sa);
}

/* By its Message ID it is a request that we take now. */
static bool is_taken(struct ike2 *c, struct ike2_sa *sa, const struct ike2_datagram *d,
                     const struct ike_message *m)
{
    switch (ike2_window_place(sa, m->h.id)) {
    case IKE2_PLACE_NEW:
        break;
    case IKE2_PLACE_OLD:
        repeated(c, sa, d, m);
        return false;
    default:
        ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
        if (is_authentic(c, sa, d, m))
            ike2_window_beyond(c, sa, m->h.id);
        return false;
    }
    if (sa->setup != NULL && sa->setup->refused) {
        ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
        return false;
    }
    return sa->job == IKE2_JOB_NONE || sa->initiator; /* else this very one waits for the keeper */
}

/* What waits for this response; NULL: nothing. */
static struct ike2_task *task_of(const struct ike2_sa *sa, const struct ike_message *m)
{
    struct ike2_task *t = sa->task;

    while (t != NULL && (t->transmissions == 0 || t->request->id != m->h.id))
        t = t->next;
    return t;
}

void ike2_sealed(struct ike2 *c, struct ike2_sa *sa, const struct ike2_datagram *d,
                 struct ike_message *m)
{
    bool response = ike_header_is_response(&m->h);
    struct ike2_task *t = NULL;
    struct gh_view inner;
    uint8_t first = 0;

    if (ike_header_from_initiator(&m->h) == sa->initiator) {
        ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
        return;
    }
    if (m->sealed.type == 0) {
        ike2_hint(c, sa, m);
        return;
    }
    if (response) {
        t = task_of(sa, m);
        if (t == NULL) {
            ike2_count(c, IKE2_COUNT_NOT_ADMITTED);
            return;
        }
    } else if (!is_taken(c, sa, d, m)) {
        return;
    }
    if (!open_message(c, sa, d, m, &inner, &first))
        return;
    follow(c, sa, d, response);
    if (response) {
        handle_response(c, sa, t, m, first, inner);
    } else {
        sa->asked_id = m->h.id;
        handle_request(c, sa, m, first, inner);
    }
    ike2_partial_drop(sa, response, m->h.id);
}

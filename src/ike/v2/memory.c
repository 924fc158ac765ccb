/* What IKE SAs hold, in octets: all that ike2_sa_free() gives back. */
#include "ike/v2/followup.h"
#include "ike/v2/mobike.h"
#include "ike/v2/priv.h"
#include "ike/v2/resume.h"
#include "ike/v2/window.h"

/* What OpenSSL holds for a cipher's context or a key pair, about: it does not say. */
enum { LIBCRYPTO = 1024 };

/* What is kept of messages, the peer's and our answers. */
static size_t of_messages(const struct ike2_sa *sa)
{
    size_t sum = 0;

    for (const struct ike2_flight *f = sa->responses; f != NULL; f = f->next)
        sum += sizeof(*f) + f->len;
    for (const struct ike2_partial *p = sa->partials; p != NULL; p = p->next)
        sum += sizeof(*p) + p->r.octets + p->r.total * sizeof(*p->r.fragment) + p->r.whole.len;
    return sum;
}

static size_t of_followup(const struct ike2_followup *f)
{
    return f == NULL ? 0
                     : sizeof(*f) + (f->ke != NULL ? LIBCRYPTO : 0) + f->more.len + f->link.len +
                           f->answer.len;
}

static size_t of_tasks(const struct ike2_task *t)
{
    size_t sum = 0;

    for (; t != NULL; t = t->next)
        sum += sizeof(*t) + (t->ke != NULL ? LIBCRYPTO : 0) + of_followup(t->followup) +
               (t->request != NULL ? sizeof(*t->request) + t->request->len : 0);
    return sum;
}

static size_t of_pending(const struct ike2_pending *p)
{
    size_t sum = 0;

    for (; p != NULL; p = p->next)
        sum += sizeof(*p) + p->shared.len + p->more.len + p->link.len;
    return sum;
}

static size_t of_resumed(const struct ike2_resumed *r)
{
    return r == NULL ? 0 : sizeof(*r) + r->sk_d.len + r->ticket.len;
}

static size_t of_setup(const struct ike2_setup *s)
{
    if (s == NULL)
        return 0;
    return sizeof(*s) + s->request.len + s->response.len + s->inner.len + s->certreqs.len +
           (s->ke != NULL ? LIBCRYPTO : 0) + of_resumed(s->resumed) + s->ppk.other.len +
           s->ppk.own_auth.len + s->ppk.peer_auth.len;
}

static size_t of_children(const struct ike2_child *child)
{
    size_t sum = 0;

    for (; child != NULL; child = child->next)
        sum += sizeof(*child) +
               (child->local_count + (size_t)child->remote_count) * sizeof(*child->ts);
    return sum;
}

static size_t of_sa(const struct ike2_sa *sa)
{
    size_t sum = sizeof(*sa) + sa->sk.len + sa->token.len + of_messages(sa);

    sum += (sa->in != NULL ? LIBCRYPTO : 0) + (sa->out != NULL ? LIBCRYPTO : 0);
    sum += (sa->local_id != NULL ? sizeof(*sa->local_id) : 0) +
           (sa->remote_id != NULL ? sizeof(*sa->remote_id) : 0) +
           (sa->mobile != NULL ? sizeof(*sa->mobile) : 0);
    sum += of_tasks(sa->task) + of_tasks(sa->waiting) + of_pending(sa->pending);
    return sum + of_setup(sa->setup) + of_children(sa->children);
}

size_t ike2_memory(const struct ike2 *c)
{
    size_t sum = 0;

    for (const struct ike2_sa *sa = c->sas; sa != NULL; sa = sa->next)
        sum += of_sa(sa);
    return sum;
}

#include "capture/suspect.h"

#include <stdio.h>
#include <string.h>

#include "tcpao/endpoint.h"

void cap_suspects_add(struct cap_suspects *s, const struct tcpao_endpoint *e)
{
    for (size_t i = 0; i < s->count; i++)
        if (ao_endpoint_equal(&s->list[i], e))
            return;
    if (s->count < CAP_SUSPECTS_MAX)
        s->list[s->count++] = *e;
}

static void add_host(struct cap_suspects *s, const struct gh_prefix *p)
{
    struct tcpao_endpoint e = {.addr_len = p->addr.len};

    if (!gh_prefix_is_host(p))
        return;
    memcpy(e.addr, p->addr.octets, sizeof(e.addr));
    cap_suspects_add(s, &e);
}

void cap_suspects_from_config(struct cap_suspects *s, const struct gh_config *config)
{
    for (size_t i = 0; i < config->session_count; i++) {
        add_host(s, &config->sessions[i].peer);
        if (config->sessions[i].local.addr.len != 0)
            add_host(s, &config->sessions[i].local);
    }
}

static bool ask(const struct cap_refused *r, const struct gh_session *session, int local,
                char *text, size_t text_len)
{
    const struct ao_suspects suspects = {.addresses = r->suspects->list,
                                         .count = r->suspects->count};
    struct ao_specimen specimen = r->specimen;

    specimen.chain = r->chains[session->chain];
    specimen.from_peer = r->from != local;
    return ao_diagnose(&specimen, &suspects, text, text_len);
}

static bool ask_covering(const struct cap_refused *r, char *text, size_t text_len)
{
    const struct cap_matches *m = &r->connection->matches;

    for (size_t i = 0; i < m->count; i++)
        if (ask(r, m->list[i].session, m->list[i].local, text, text_len))
            return true;
    return false;
}

static bool names_a_key(const struct tcpao_chain *chain, uint8_t keyid, bool from_peer)
{
    for (size_t i = 0; i < tcpao_chain_count(chain); i++) {
        const struct tcpao_mkt *k = tcpao_chain_at(chain, i);

        if (keyid == (from_peer ? k->recv_id : k->send_id))
            return true;
    }
    return false;
}

static bool ask_other(const struct cap_refused *r, const struct gh_session *s, int local,
                      char *text, size_t text_len)
{
    int used = snprintf(text, text_len, "%swith session \"%.64s\" (key-chain \"%.64s\"): ",
                        r->verdict == CAP_NO_SESSION ? "no session covers this flow; " : "",
                        s->name, r->config->chains[s->chain].name);

    return used > 0 && (size_t)used < text_len &&
           ask(r, s, local, text + used, text_len - (size_t)used);
}

/* Another session's key chain would do: a wrong `key-chain`, `peer` or `port`, or a NAT. Which end
 * is ours is unknown then: first those are asked where the KeyID makes sense, then the others. */
static bool ask_others(const struct cap_refused *r, char *text, size_t text_len)
{
    size_t count = r->config->session_count;

    if (count > CAP_SESSIONS_ASKED_MAX)
        count = CAP_SESSIONS_ASKED_MAX;
    for (int sense = 1; sense >= 0; sense--)
        for (size_t i = 0; i < 2 * count; i++) {
            const struct gh_session *s = &r->config->sessions[i / 2];
            int local = i % 2;

            if (s->chain != GH_NO_CHAIN &&
                names_a_key(r->chains[s->chain], r->keyid, r->from != local) == (sense == 1) &&
                ask_other(r, s, local, text, text_len))
                return true;
        }
    return false;
}

/* The ids can look swapped even where no MAC can be computed. */
static void say_unknown(const struct cap_refused *r, const struct cap_match *m, char *text,
                        size_t text_len)
{
    const struct tcpao_chain *chain = r->chains[m->session->chain];
    bool from_peer = r->from != m->local;
    int used = snprintf(text, text_len, "no key of key-chain \"%.64s\" has %s = %u",
                        r->config->chains[m->session->chain].name,
                        from_peer ? "recv-id" : "send-id", r->keyid);

    for (size_t i = 0; i < tcpao_chain_count(chain); i++) {
        const struct tcpao_mkt *k = tcpao_chain_at(chain, i);

        if ((from_peer ? k->send_id : k->recv_id) != r->keyid || (size_t)used >= text_len)
            continue;
        snprintf(text + used, text_len - (size_t)used,
                 ", but it is the %s of key %u: are the ids swapped?",
                 from_peer ? "send-id" : "recv-id", k->number);
        return;
    }
}

/* What is left to say when nothing fits. */
static void say_plainly(const struct cap_refused *r, char *text, size_t text_len)
{
    const struct cap_match *m = &r->connection->matches.list[0];

    if (r->verdict == CAP_NO_SESSION)
        snprintf(text, text_len,
                 "no session of the configuration covers this flow: check peer, "
                 "local and port");
    else if (r->verdict == CAP_KEY_UNKNOWN)
        say_unknown(r, m, text, text_len);
    else
        snprintf(text, text_len,
                 "none of the usual suspects fits: compare the secrets, and see "
                 "whether something on the path rewrites TCP options or data");
}

void cap_explain(const struct cap_refused *r, char *text, size_t text_len)
{
    if (r->isns_known && (ask_covering(r, text, text_len) || ask_others(r, text, text_len)))
        return;
    say_plainly(r, text, text_len);
}

/* One connection as show-session tells it. */
#include "control/answer.h"

#include "control/outlook.h"

static json_t *key_json(const struct tcpao_chain *chain, bool known, uint32_t number)
{
    const struct tcpao_mkt *k = known ? tcpao_chain_find(chain, number) : NULL;

    if (!known)
        return json_null();
    if (k == NULL)
        return json_pack("{s:I}", "key", (json_int_t)number);
    return json_pack("{s:I, s:i, s:i, s:s}", "key", (json_int_t)k->number, "send_id", k->send_id,
                     "recv_id", k->recv_id, "algorithm", tcpao_alg_name(k->alg, k->mac_len));
}

/* The line that vendors print only with TCP-AO. */
static json_t *authentication_json(const struct ao_connection_view *c)
{
    const struct tcpao_mkt *k =
        c->conn.current_known ? tcpao_chain_find(c->chain, c->conn.current_key) : NULL;

    if (c->without_ao)
        return json_pack("{s:s, s:o}", "type", "none", "key_chain", gh_json_text(c->chain_name));
    return json_pack("{s:s, s:o, s:s?}", "type", "TCP-Auth-Option", "key_chain",
                     gh_json_text(c->chain_name), "algorithm",
                     k != NULL ? tcpao_alg_name(k->alg, k->mac_len) : NULL);
}

static json_t *keys_json(const struct ao_connection_view *c)
{
    const struct tcpao_conn_state *s = &c->conn;
    json_t *o = json_pack("{s:o, s:o, s:o}", "current",
                          key_json(c->chain, s->current_known, s->current_key), "rnext",
                          key_json(c->chain, s->rnext_known, s->rnext_key), "last_received",
                          key_json(c->chain, s->last_recv_known, s->last_recv_key));

    json_object_set_new(o, "peer_keyid",
                        s->last_recv_known ? json_integer(s->last_keyid) : json_null());
    json_object_set_new(o, "peer_rnextkeyid",
                        s->last_recv_known ? json_integer(s->last_rnext) : json_null());
    return o;
}

static json_t *isn_json(bool known, uint32_t isn)
{
    return known ? json_integer((json_int_t)isn) : json_null();
}

static json_t *sequence_json(const struct tcpao_conn_state *s)
{
    return json_pack("{s:o, s:o, s:I, s:I, s:I, s:I}", "local_isn",
                     isn_json(s->local_isn_known, s->local_isn), "remote_isn",
                     isn_json(s->remote_isn_known, s->remote_isn), "send_sne",
                     (json_int_t)(s->snd.highest >> 32), "send_highest",
                     (json_int_t)(s->snd.highest & 0xffffffff), "receive_sne",
                     (json_int_t)(s->rcv.highest >> 32), "receive_highest",
                     (json_int_t)(s->rcv.highest & 0xffffffff));
}

json_t *gh_connection_json(const struct ao_connection_view *c, struct gh_now now, bool detail)
{
    json_t *o =
        json_pack("{s:o, s:o, s:s, s:s, s:o, s:I}", "local", gh_json_endpoint(&c->local), "remote",
                  gh_json_endpoint(&c->remote), "type", c->active ? "active" : "passive", "state",
                  ao_state_name(c->state), "since", gh_json_time(c->since), "uptime",
                  (json_int_t)(now.wall > c->since ? now.wall - c->since : 0));

    json_object_set_new(o, "segments_in", json_integer((json_int_t)c->segments_in));
    json_object_set_new(o, "segments_out", json_integer((json_int_t)c->segments_out));
    json_object_set_new(o, "bytes_in", json_integer((json_int_t)c->octets_in));
    json_object_set_new(o, "bytes_out", json_integer((json_int_t)c->octets_out));
    json_object_set_new(o, "authentication", authentication_json(c));
    json_object_set_new(o, "keys", keys_json(c));
    json_object_set_new(o, "protected", json_boolean(!c->without_ao && !c->mismatched));
    json_object_set_new(o, "mismatched", json_boolean(c->mismatched));
    json_object_set_new(o, "restored", json_boolean(c->restored));
    json_object_set_new(o, "backend", json_string(c->in_kernel ? "kernel" : "engine"));
    json_object_set_new(o, "counters", gh_json_counters(c->counters, detail));
    if (c->last_event_wall != 0 && c->last_event != NULL)
        json_object_set_new(o, "last_event",
                            json_pack("{s:o, s:o}", "time", gh_json_time(c->last_event_wall),
                                      "text", gh_json_text(c->last_event)));
    if (detail)
        json_object_set_new(o, "sequence", sequence_json(&c->conn));
    return o;
}

/*
 * A configuration in canonical form.
 */
#include <string.h>

#include "config/config.h"
#include "config/lifetime.h"

static void put_text(FILE *out, const char *s)
{
    fputc('"', out);
    for (; *s != '\0'; s++) {
        if (*s == '"' || *s == '\\')
            fputc('\\', out);
        fputc(*s, out);
    }
    fputc('"', out);
}

static void put_option(FILE *out, const char *indent, const char *name, const char *text)
{
    if (text == NULL)
        return;
    fprintf(out, "%s%s = ", indent, name);
    put_text(out, text);
    fputc('\n', out);
}

static void put_secret(FILE *out, const struct gh_key *key)
{
    static const char file[] = "file ", credential[] = "credential ";
    const char *from = key->secret_source;

    if (strncmp(from, file, strlen(file)) == 0)
        put_option(out, "        ", "secret-file", from + strlen(file));
    else if (strncmp(from, credential, strlen(credential)) == 0)
        put_option(out, "        ", "secret-credential", from + strlen(credential));
    else
        fprintf(out, "        # the secret stands in the configuration itself and is not shown\n");
    if (key->secret_hex)
        fprintf(out, "        secret-file-format = hex\n");
}

static void put_key(FILE *out, const struct gh_key *key)
{
    const struct tcpao_mkt *m = &key->mkt;
    char text[GH_LIFETIME_TEXT];

    fprintf(out, "    key %u {\n", m->number);
    fprintf(out, "        send-id = %u\n        recv-id = %u\n", m->send_id, m->recv_id);
    fprintf(out, "        algorithm = %s\n", tcpao_alg_name(m->alg, m->mac_len));
    fprintf(out, "        include-tcp-options = %s\n", m->options_covered ? "true" : "false");
    if (m->accept_mismatch)
        fprintf(out, "        accept-ao-mismatch = true\n");
    put_secret(out, key);
    if (key->send_set)
        put_option(out, "        ", "send-lifetime", gh_lifetime_format(&m->send, text));
    if (key->accept_set)
        put_option(out, "        ", "accept-lifetime", gh_lifetime_format(&m->accept, text));
    fprintf(out, "    }\n");
}

void gh_config_print_chain(const struct gh_key_chain *k, FILE *out)
{
    char text[GH_LIFETIME_TEXT];

    fprintf(out, "key-chain ");
    put_text(out, k->name);
    fprintf(out, " {\n");
    put_option(out, "    ", "description", k->description);
    fprintf(out, "    tolerance = %u\n    warn-before = {", k->tolerance);
    for (size_t i = 0; i < k->warn_count; i++)
        fprintf(out, "%s %s", i > 0 ? "," : "", gh_duration_text(k->warn_before[i], text));
    fprintf(out, " }\n");
    for (size_t i = 0; i < k->key_count; i++)
        put_key(out, &k->keys[i]);
    fprintf(out, "}\n");
}

const char *gh_config_mode_name(enum gh_mode mode)
{
    static const char *const names[] = {"required", "allow-without-ao", "accept-mismatch"};

    return names[mode];
}

const char *gh_config_direction_name(enum gh_direction direction)
{
    static const char *const names[] = {"both", "active", "passive"};

    return names[direction];
}

const char *gh_config_backend_name(enum gh_backend backend)
{
    static const char *const names[] = {"auto", "engine", "kernel"};

    return names[backend];
}

void gh_config_print_session(const struct gh_session *s, const struct gh_key_chain *chain,
                             FILE *out)
{
    char text[GH_PREFIX_TEXT];

    fprintf(out, "tcp-ao ");
    put_text(out, s->name);
    fprintf(out, " {\n");
    put_option(out, "    ", "description", s->description);
    fprintf(out, "    peer = %s\n", gh_prefix_format(&s->peer, text));
    if (s->local.addr.len != 0)
        fprintf(out, "    local = %s\n", gh_prefix_format(&s->local, text));
    fprintf(out, "    port = %u\n", s->port);
    if (s->source_last != 0 && s->source_first == s->source_last)
        fprintf(out, "    source-port = %u\n", s->source_first);
    else if (s->source_last != 0)
        fprintf(out, "    source-port = %u-%u\n", s->source_first, s->source_last);
    fprintf(out, "    direction = %s\n", gh_config_direction_name(s->direction));
    fprintf(out, "    mode = %s\n", gh_config_mode_name(s->mode));
    if (s->backend != GH_BACKEND_AUTO)
        fprintf(out, "    backend = %s\n", gh_config_backend_name(s->backend));
    if (s->accept_icmp)
        fprintf(out, "    accept-icmp = true\n");
    put_option(out, "    ", "netns", s->netns);
    put_option(out, "    ", "vrf", s->vrf);
    put_option(out, "    ", "key-chain", chain != NULL ? chain->name : NULL);
    put_option(out, "    ", "ike-peer", s->ike_peer);
    if (s->fallback)
        fprintf(out, "    fallback = true\n");
    if (s->ike_text != NULL)
        fputs(s->ike_text, out);
    fprintf(out, "}\n");
}

static void put_shim_users(const struct gh_config *c, FILE *out)
{
    fprintf(out, "    shim-users = {");
    for (size_t i = 0; i < c->shim_user_count; i++) {
        fputs(i > 0 ? ", " : " ", out);
        put_text(out, c->shim_users[i]);
    }
    fprintf(out, " }\n");
}

void gh_config_print(const struct gh_config *c, FILE *out)
{
    static const char *const firewalls[] = {"auto", "nftables", "iptables"};

    fprintf(out, "gatehouse {\n");
    put_option(out, "    ", "user", c->user);
    fprintf(out, "    firewall = %s\n", firewalls[c->firewall]);
    fprintf(out, "    queue-base = %u\n    queue-length = %u\n    max-connections = %u\n",
            c->queue_base, c->queue_length, c->max_connections);
    if (c->shim_user_count > 0)
        put_shim_users(c, out);
    fprintf(out, "}\n");
    for (size_t i = 0; i < c->chain_count; i++) {
        fputc('\n', out);
        gh_config_print_chain(&c->chains[i], out);
    }
    for (size_t i = 0; i < c->session_count; i++) {
        fputc('\n', out);
        gh_config_print_session(&c->sessions[i], gh_config_chain(c, &c->sessions[i]), out);
    }
    if (c->ike_text != NULL)
        fputs(c->ike_text, out);
}

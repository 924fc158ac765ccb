/*
 * SAs and policies by hand, given to the kernel through src/platform/xfrm.h; for the lab kernel
 * (test_xfrm.py). Reads lines, answers each with one line of JSON:
 *
 *   probe                             what the kernel has
 *   sa NAME=VALUE…                    adds an SA; `update` likewise
 *   get NAME=VALUE…, remove …         of an SA: way, protocol, spi, local, remote, mark
 *   move NAME=VALUE… to=… to_port=…   of an SA: to another remote address and port
 *   policy NAME=VALUE…                adds a policy; `unpolicy` removes it
 *   policies COUNT                    the next lines are policies: these and no others
 *   list, flush, stat
 *   encapsulate ADDRESS PORT          a socket for UDP encapsulation, until the end
 *   run COMMAND…                      by the shell
 *   wait KIND MILLISECONDS            the next event of this kind, or null
 *
 * Numbers are decimal, algorithms IKEv2's, keys hexadecimal. An answer is `true`, what was asked
 * for, or the reason for a refusal.
 */
#include <arpa/inet.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "platform/xfrm.h"
#include "platform/xfrm_probe.h"
#include "platform/xfrm_select.h"
#include "platform/xfrm_stat.h"

enum { LINE = 2048, KEYS = 128, SELECTORS = 8, POLICIES = 32 };

static struct gh_xfrm xfrm;

static void die(const char *what, const char *of)
{
    fprintf(stderr, "xfrm_ends: %s: %s\n", what, of);
    exit(2);
}

static void say(json_t *answer)
{
    char *text = json_dumps(answer, JSON_ENCODE_ANY | JSON_COMPACT);

    printf("%s\n", text);
    fflush(stdout);
    free(text);
    json_decref(answer);
}

static void say_done(bool good, const struct gh_xfrm_why *why)
{
    say(good ? json_true() : json_string(why->text));
}

static struct gh_addr address(const char *text)
{
    struct gh_addr a;

    if (!gh_addr_parse(text, &a))
        die("no address", text);
    return a;
}

static json_t *address_json(const struct gh_addr *a)
{
    char text[GH_ADDR_TEXT];

    return a->len == 0 ? json_null() : json_string(gh_addr_format(a, text));
}

/* ---- NAME=VALUE ----------------------------------------------------------------------------- */

static char names[LINE];

/* The value of `name` in the line; NULL: not there. Valid until the next call. */
static const char *value(const char *line, const char *name)
{
    size_t len = strlen(name);
    char *save = NULL;

    snprintf(names, sizeof(names), "%s", line);
    for (char *w = strtok_r(names, " \n", &save); w != NULL; w = strtok_r(NULL, " \n", &save))
        if (strncmp(w, name, len) == 0 && w[len] == '=')
            return w + len + 1;
    return NULL;
}

static uint64_t number(const char *line, const char *name)
{
    const char *v = value(line, name);

    return v != NULL ? strtoull(v, NULL, 10) : 0;
}

static bool is(const char *line, const char *name, const char *wanted)
{
    const char *v = value(line, name);

    return v != NULL && strcmp(v, wanted) == 0;
}

static struct gh_view key(const char *line, const char *name, uint8_t out[KEYS])
{
    const char *v = value(line, name);
    size_t n = v != NULL ? strlen(v) / 2 : 0;

    for (size_t i = 0; i < n; i++) {
        unsigned octet = 0;

        if (n > KEYS || sscanf(v + 2 * i, "%2x", &octet) != 1)
            die("no key", v);
        out[i] = (uint8_t)octet;
    }
    return gh_view_of(out, n);
}

/* inside=PROTOCOL and remote_ports=START-END are for all of a line's selectors. */
static struct ipsec_selector selector(const char *line, const char *local, const char *remote)
{
    struct ipsec_selector s;
    struct gh_prefix l, r;
    const char *ports;
    unsigned start, end;

    if (!gh_prefix_parse(local, &l) || !gh_prefix_parse(remote, &r))
        die("no prefixes", line);
    s = ipsec_selector_between(&l, &r);
    s.protocol = (uint8_t)number(line, "inside");
    ports = value(line, "remote_ports");
    if (ports != NULL && sscanf(ports, "%u-%u", &start, &end) == 2) {
        s.remote.start_port = (uint16_t)start;
        s.remote.end_port = (uint16_t)end;
    }
    return s;
}

/* for=LOCAL,REMOTE[,LOCAL,REMOTE…]; without, everything. */
static size_t selectors(const char *line, struct ipsec_selector out[SELECTORS])
{
    const char *v = value(line, "for");
    char text[LINE], *save = NULL;
    size_t count = 0;

    snprintf(text, sizeof(text), "%s", v != NULL ? v : "0.0.0.0/0,0.0.0.0/0,::/0,::/0");
    for (char *l = strtok_r(text, ",", &save); l != NULL; l = strtok_r(NULL, ",", &save)) {
        char *r = strtok_r(NULL, ",", &save);

        if (r == NULL || count == SELECTORS)
            die("no selectors", line);
        out[count++] = selector(line, l, r);
    }
    return count;
}

static struct gh_xfrm_tie tie(const char *line)
{
    return (struct gh_xfrm_tie){.reqid = gh_xfrm_reqid((uint32_t)number(line, "reqid")),
                                .if_id = (uint32_t)number(line, "if_id"),
                                .mark = (uint32_t)number(line, "mark"),
                                .mark_mask = number(line, "mark") != 0 ? UINT32_MAX : 0};
}

/* ---- SAs ------------------------------------------------------------------------------------ */

struct sa {
    struct ipsec_sa_params params;
    struct ipsec_selector selectors[SELECTORS];
    uint8_t enc_key[KEYS], integ_key[KEYS];
    struct gh_xfrm_sa sa;
};

static void read_tunnel(const char *line, struct ipsec_tunnel *t)
{
    t->df = is(line, "df", "set") ? IPSEC_DF_SET : is(line, "df", "clear") ? IPSEC_DF_CLEAR : 0;
    t->ttl = (uint8_t)number(line, "ttl");
    t->set_dscp = value(line, "dscp") != NULL;
    t->dscp = (uint8_t)number(line, "dscp");
    t->no_ecn = number(line, "no_ecn");
    t->dscp_to_inner = number(line, "dscp_to_inner");
}

static void read_limits(const char *line, struct sa *s)
{
    s->params.lifetime = (struct ipsec_lifetime){.soft_octets = number(line, "soft_octets"),
                                                 .hard_octets = number(line, "hard_octets"),
                                                 .soft_packets = number(line, "soft_packets"),
                                                 .hard_packets = number(line, "hard_packets")};
    s->sa.soft_seconds = number(line, "soft_seconds");
    s->sa.hard_seconds = number(line, "hard_seconds");
}

static struct gh_xfrm_sa *read_sa(const char *line)
{
    static struct sa s;
    struct ipsec_sa_params *p = &s.params;

    s = (struct sa){.params = {.id = 1}};
    p->spi = (uint32_t)number(line, "spi");
    p->protocol = is(line, "protocol", "ah") ? IPSEC_AH : IPSEC_ESP;
    p->mode = is(line, "mode", "transport") ? IPSEC_TRANSPORT : IPSEC_TUNNEL;
    p->way = is(line, "way", "in") ? IPSEC_IN : IPSEC_OUT;
    p->local = address(value(line, "local"));
    p->remote = address(value(line, "remote"));
    p->local_port = (uint16_t)number(line, "local_port");
    p->remote_port = (uint16_t)number(line, "remote_port");
    p->algs.enc = (enum gh_enc_alg)number(line, "enc");
    p->algs.bits = (unsigned)number(line, "bits");
    p->algs.integ = (enum gh_integ_alg)number(line, "integ");
    p->algs.enc_key = key(line, "enc_key", s.enc_key);
    p->algs.integ_key = key(line, "integ_key", s.integ_key);
    p->esn = number(line, "esn");
    p->window = (uint32_t)number(line, "window");
    p->last_seq = number(line, "last_seq");
    p->tfc = (uint16_t)number(line, "tfc");
    p->selectors = s.selectors;
    p->selector_count = selectors(line, s.selectors);
    read_tunnel(line, &p->tunnel);
    s.sa.params = p;
    s.sa.tie = tie(line);
    s.sa.acquire = (uint32_t)number(line, "acquire");
    s.sa.set_mark = (uint32_t)number(line, "set_mark");
    s.sa.set_mark_mask = s.sa.set_mark != 0 ? UINT32_MAX : 0;
    read_limits(line, &s);
    return &s.sa;
}

static json_t *sa_json(const struct gh_xfrm_sa_info *s)
{
    return json_pack(
        "{s:I, s:i, s:o, s:o, s:b, s:s, s:b, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
        "s:i, s:i, s:I}",
        "spi", (json_int_t)s->id.spi, "protocol", s->id.protocol, "dst", address_json(&s->id.dst),
        "src", address_json(&s->src), "ours", gh_xfrm_reqid_is_ours(s->reqid), "mode",
        s->mode == IPSEC_TUNNEL ? "tunnel" : "transport", "esn", s->esn, "window", (int)s->window,
        "sent_seq", (json_int_t)s->sent_seq, "received_seq", (json_int_t)s->received_seq, "packets",
        (json_int_t)s->counts.packets, "octets", (json_int_t)s->counts.octets, "old",
        (json_int_t)s->counts.results[IPSEC_OLD], "replay",
        (json_int_t)s->counts.results[IPSEC_REPLAY], "icv",
        (json_int_t)s->counts.results[IPSEC_ICV], "added", (json_int_t)s->added, "last_used",
        (json_int_t)s->last_used, "src_port", s->src_port, "dst_port", s->dst_port, "if_id",
        (json_int_t)s->if_id);
}

static void get(const char *line)
{
    const struct gh_xfrm_sa_id id = gh_xfrm_sa_id_of(read_sa(line));
    struct gh_xfrm_sa_info info;

    say(gh_xfrm_get_sa(&xfrm, &id, &info) ? sa_json(&info) : json_null());
}

static void move(const char *line)
{
    const struct gh_xfrm_sa_id id = gh_xfrm_sa_id_of(read_sa(line));
    const struct gh_xfrm_move to = {.local = address(value(line, "local")),
                                    .remote = address(value(line, "to")),
                                    .local_port = (uint16_t)number(line, "local_port"),
                                    .remote_port = (uint16_t)number(line, "to_port")};
    struct gh_xfrm_why why;

    say_done(gh_xfrm_move_sa(&xfrm, &id, &to, &why), &why);
}

/* ---- Policies ------------------------------------------------------------------------------- */

struct policy {
    struct ipsec_policy policy;
    struct ipsec_selector selectors[SELECTORS];
    struct gh_xfrm_policy x;
};

static struct gh_xfrm_template template(const char *line, enum ipsec_protocol protocol,
                                        bool transport)
{
    if (transport)
        return (struct gh_xfrm_template){.protocol = protocol, .mode = IPSEC_TRANSPORT};
    return (struct gh_xfrm_template){.protocol = protocol,
                                     .mode = IPSEC_TUNNEL,
                                     .local = address(value(line, "local")),
                                     .remote = address(value(line, "remote"))};
}

static const struct gh_xfrm_policy *read_policy(const char *line, struct policy *p)
{
    *p = (struct policy){.policy = {.id = 1, .action = IPSEC_PROTECT}};
    if (is(line, "action", "pass"))
        p->policy.action = IPSEC_PASS;
    else if (is(line, "action", "discard"))
        p->policy.action = IPSEC_DISCARD;
    p->policy.out = !is(line, "way", "in");
    p->policy.in = !is(line, "way", "out");
    p->policy.selectors = p->selectors;
    p->policy.selector_count = selectors(line, p->selectors);
    p->x.policy = &p->policy;
    p->x.tie = tie(line);
    p->x.priority = (uint32_t)number(line, "priority");
    if (p->policy.action != IPSEC_PROTECT)
        return &p->x;
    p->x.templates[0] = template(line, is(line, "protocol", "ah") ? IPSEC_AH : IPSEC_ESP,
                                 is(line, "mode", "transport"));
    p->x.templates[1] = template(line, IPSEC_AH, true);
    p->x.template_count = is(line, "protocol", "esp+ah") ? 2 : 1;
    return &p->x;
}

static void set_policies(unsigned count)
{
    static struct policy all[POLICIES];
    static struct gh_xfrm_policy list[POLICIES];
    struct gh_xfrm_why why;
    char line[LINE];

    for (unsigned i = 0; i < count && i < POLICIES && fgets(line, sizeof(line), stdin); i++)
        list[i] = *read_policy(line, &all[i]);
    say_done(gh_xfrm_set_policies(&xfrm, list, count, &why), &why);
}

/* ---- What there is -------------------------------------------------------------------------- */

static void list_sa(void *ctx, const struct gh_xfrm_sa_info *sa)
{
    json_array_append_new(ctx, sa_json(sa));
}

static void list_policy(void *ctx, const struct gh_xfrm_policy_info *p)
{
    static const char *const actions[] = {"discard", "pass", "protect"}, *const dirs[] = {
                                                                             "in", "out", "fwd"};

    json_array_append_new(ctx,
                          json_pack("{s:s, s:s, s:I, s:i, s:I}", "action", actions[p->action],
                                    "dir", dirs[p->id.dir], "priority", (json_int_t)p->priority,
                                    "reqid", p->reqid != 0 ? (int)(p->reqid - GH_XFRM_REQID) : -1,
                                    "if_id", (json_int_t)p->id.if_id));
}

static void list(void)
{
    json_t *sas = json_array(), *policies = json_array();

    if (gh_xfrm_each_sa(&xfrm, list_sa, sas) != 0 ||
        gh_xfrm_each_policy(&xfrm, list_policy, policies) != 0)
        die("cannot list", "");
    say(json_pack("{s:o, s:o}", "sas", sas, "policies", policies));
}

static void stat(void)
{
    static const char *const ways[] = {"out", "in"};
    struct gh_xfrm_stat s;
    json_t *all = json_object();

    if (!gh_xfrm_stat_read(NULL, &s))
        die("no counters", "");
    for (int way = IPSEC_OUT; way <= IPSEC_IN; way++)
        for (unsigned i = 0; i < IPSEC_RESULT_COUNT; i++)
            if (s.counts[way][i] != 0) {
                char name[64];

                snprintf(name, sizeof(name), "%s %s", ways[way], ipsec_result_name(i));
                json_object_set_new(all, name, json_integer((json_int_t)s.counts[way][i]));
            }
    say(all);
}

static json_t *numbers(uint32_t bits)
{
    json_t *all = json_array();

    for (int i = 0; i < 32; i++)
        if (bits >> i & 1)
            json_array_append_new(all, json_integer(i));
    return all;
}

static void probe(void)
{
    struct gh_xfrm_support s;
    struct gh_xfrm_why why;
    int result = gh_xfrm_probe(&s, &why);

    say(json_pack("{s:i, s:[bb], s:[bb], s:[bb], s:b, s:i, s:o, s:o}", "result", result, "esp",
                  s.esp[0], s.esp[1], "ah", s.ah[0], s.ah[1], "encapsulation", s.encapsulation[0],
                  s.encapsulation[1], "interfaces", s.interfaces, "window", (int)s.window, "enc",
                  numbers(s.enc), "integ", numbers(s.integ)));
}

/* ---- Events --------------------------------------------------------------------------------- */

static const char *const kinds[] = {"acquire", "soft", "hard", "moved", "lost"};
static json_t *heard; /* events that nobody has asked for yet */

static void on_event(void *ctx, const struct gh_xfrm_event *e)
{
    json_array_append_new(
        heard,
        json_pack(
            "{s:s, s:I, s:i, s:o, s:o, s:I, s:I, s:o, s:o, s:i, s:i, s:i, s:I, s:I, s:o, s:i}",
            "kind", kinds[e->kind], "spi", (json_int_t)e->id.spi, "protocol", e->id.protocol, "dst",
            address_json(&e->id.dst), "src", address_json(&e->src), "reqid",
            (json_int_t)e->tie.reqid - GH_XFRM_REQID, "if_id", (json_int_t)e->tie.if_id, "local",
            address_json(&e->flow.local), "remote", address_json(&e->flow.remote), "inside",
            e->flow.protocol, "local_port", e->flow.local_port, "remote_port", e->flow.remote_port,
            "acquire", (json_int_t)e->acquire, "priority", (json_int_t)e->priority, "from",
            address_json(&e->from), "from_port", e->from_port));
}

/* The first of the kind is taken out; NULL: not there. */
static json_t *take(const char *kind)
{
    json_t *e;
    size_t i;

    json_array_foreach(heard, i, e)
    {
        if (strcmp(json_string_value(json_object_get(e, "kind")), kind) == 0) {
            json_incref(e);
            json_array_remove(heard, i);
            return e;
        }
    }
    return NULL;
}

static void wait_for(const char *line)
{
    uint64_t until = gh_clock_now().mono_ms, now = until;
    char kind[16];
    unsigned ms;
    json_t *e;

    if (sscanf(line, "wait %15s %u", kind, &ms) != 2)
        die("wait what", line);
    until += ms;
    gh_xfrm_hear(&xfrm, on_event, NULL);
    while ((e = take(kind)) == NULL && now < until) {
        struct pollfd p = {.fd = xfrm.heard, .events = POLLIN};

        (void)poll(&p, 1, (int)(until - now));
        gh_xfrm_hear(&xfrm, on_event, NULL);
        now = gh_clock_now().mono_ms;
    }
    say(e != NULL ? e : json_null());
}

/* ---- The rest ------------------------------------------------------------------------------- */

static void encapsulate(const char *line)
{
    struct sockaddr_storage to = {.ss_family = AF_INET};
    char text[64];
    unsigned port;
    struct gh_addr a;
    int fd;

    if (sscanf(line, "encapsulate %63s %u", text, &port) != 2)
        die("encapsulate what", line);
    a = address(text);
    to.ss_family = gh_xfrm_family(&a);
    if (a.len == 16) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&to;

        memcpy(&in6->sin6_addr, a.octets, 16);
        in6->sin6_port = htons((uint16_t)port);
    } else {
        struct sockaddr_in *in = (struct sockaddr_in *)&to;

        memcpy(&in->sin_addr, a.octets, 4);
        in->sin_port = htons((uint16_t)port);
    }
    fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    say(json_boolean(fd >= 0 && bind(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
                     gh_xfrm_bypass_socket(fd) && gh_xfrm_encapsulate_socket(fd)));
}

static void run(const char *command)
{
    char redirected[LINE + 16];
    int status;

    snprintf(redirected, sizeof(redirected), "{ %s; } >&2", command);
    status = system(redirected);
    say(json_integer(WIFEXITED(status) ? WEXITSTATUS(status) : -1));
}

static void obey(char *line)
{
    struct gh_xfrm_why why = {.text = "there is none of ours"};
    struct gh_xfrm_sa_id id;
    struct policy p;
    char verb[16] = "";
    unsigned count;

    (void)sscanf(line, "%15s", verb);
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(verb, "sa") == 0) {
        say_done(gh_xfrm_add_sa(&xfrm, read_sa(line), &why), &why);
    } else if (strcmp(verb, "update") == 0) {
        say_done(gh_xfrm_update_sa(&xfrm, read_sa(line), &why), &why);
    } else if (strcmp(verb, "remove") == 0) {
        id = gh_xfrm_sa_id_of(read_sa(line));
        say_done(gh_xfrm_remove_sa(&xfrm, &id), &why);
    } else if (strcmp(verb, "move") == 0) {
        move(line);
    } else if (strcmp(verb, "get") == 0) {
        get(line);
    } else if (strcmp(verb, "policy") == 0) {
        say_done(gh_xfrm_add_policy(&xfrm, read_policy(line, &p), &why), &why);
    } else if (strcmp(verb, "unpolicy") == 0) {
        gh_xfrm_remove_policy(&xfrm, read_policy(line, &p));
        say(json_true());
    } else if (sscanf(line, "policies %u", &count) == 1) {
        set_policies(count);
    } else if (strcmp(verb, "list") == 0) {
        list();
    } else if (strcmp(verb, "flush") == 0) {
        say(json_integer(gh_xfrm_flush(&xfrm)));
    } else if (strcmp(verb, "stat") == 0) {
        stat();
    } else if (strcmp(verb, "probe") == 0) {
        probe();
    } else if (strcmp(verb, "encapsulate") == 0) {
        encapsulate(line);
    } else if (strcmp(verb, "run") == 0) {
        run(line + strlen("run "));
    } else if (strcmp(verb, "wait") == 0) {
        wait_for(line);
    } else {
        die("not understood", line);
    }
}

int main(void)
{
    char line[LINE];
    int result = gh_xfrm_open(NULL, &xfrm);

    if (result != 0)
        die("no XFRM", strerror(-result));
    heard = json_array();
    while (fgets(line, sizeof(line), stdin) != NULL)
        obey(line);
    json_decref(heard);
    gh_xfrm_close(&xfrm);
    return 0;
}

/*
 * gatectl key-chain simulate FILE [--peer FILE] …
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/cmd_common.h"
#include "config/commands.h"
#include "config/pair.h"
#include "config/simulate.h"

static void usage(FILE *out)
{
    fputs("usage: gatectl key-chain simulate FILE [--peer FILE] [--chain NAME]\n"
          "           [--from TIME] [--to TIME] [--skew SECONDS] [--json]\n"
          "\n"
          "Plays the clocks of both ends through all lifetimes of a key chain and prints which\n"
          "keys they use when, gaps, lost segments, and the day when the session would die.\n"
          "The status is 1 if a segment would be refused or a session would not be up.\n"
          "\n"
          "  --peer FILE     the other end's configuration (default: the same keys, ids crossed)\n"
          "  --chain NAME    only this key chain (default: all that sessions use)\n"
          "  --from TIME     begin here (default: now)\n"
          "  --to TIME       end here, or this long after the beginning (default: a day after the\n"
          "                  last change, or a year)\n"
          "  --skew SECONDS  let the peer's clock be so far ahead, and then so far behind\n"
          "  --json          print a JSON object\n",
          out);
}

struct request {
    const char *file, *peer, *chain, *to_text;
    int64_t from, skew;
    bool json;
};

static bool parse_skew(const char *text, int64_t *out)
{
    char *end;
    long v = strtol(text, &end, 10);

    if (*text == '\0' || *end != '\0' || v < -8640000 || v > 8640000) {
        fprintf(stderr, "--skew: a number of seconds, at most 8640000\n");
        return false;
    }
    *out = v;
    return true;
}

/* -1: go on; else the exit status. */
static int parse_request(int argc, char **argv, struct request *r)
{
    static const struct option options[] = {
        {"peer", required_argument, NULL, 'p'}, {"chain", required_argument, NULL, 'c'},
        {"from", required_argument, NULL, 'f'}, {"to", required_argument, NULL, 't'},
        {"skew", required_argument, NULL, 's'}, {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0}};
    int option;

    *r = (struct request){.from = gh_cmd_now()};
    optind = 0; /* gatectl has used getopt before */
    while ((option = getopt_long(argc, argv, "p:c:f:t:s:jh", options, NULL)) != -1) {
        switch (option) {
        case 'p':
            r->peer = optarg;
            break;
        case 'c':
            r->chain = optarg;
            break;
        case 'f':
            if (!gh_cmd_time("--from", optarg, r->from, &r->from))
                return CMD_USAGE;
            break;
        case 't':
            r->to_text = optarg;
            break;
        case 's':
            if (!parse_skew(optarg, &r->skew))
                return CMD_USAGE;
            break;
        case 'j':
            r->json = true;
            break;
        case 'h':
            usage(stdout);
            return CMD_GOOD;
        default:
            usage(stderr);
            return CMD_USAGE;
        }
    }
    if (argc - optind != 1) {
        usage(stderr);
        return CMD_USAGE;
    }
    r->file = argv[optind];
    return -1;
}

/* The peer's chain that faces chain `i` of the configuration: that of the mirrored session, else
 * the one of the same name, else the only one. */
static const struct gh_key_chain *facing(const struct gh_config *config, size_t i,
                                         const struct gh_config *peer)
{
    for (size_t s = 0; s < config->session_count; s++) {
        const struct gh_session *t;

        if (config->sessions[s].chain != i)
            continue;
        t = gh_find_mirror(peer, &config->sessions[s]);
        if (t != NULL && t->chain != GH_NO_CHAIN)
            return &peer->chains[t->chain];
    }
    for (size_t k = 0; k < peer->chain_count; k++) {
        if (strcmp(peer->chains[k].name, config->chains[i].name) == 0)
            return &peer->chains[k];
    }
    return peer->chain_count == 1 ? &peer->chains[0] : NULL;
}

static bool always_up(const struct gh_sim *sim)
{
    for (size_t i = 0; i < sim->count; i++) {
        if (sim->steps[i].status != GH_SIM_UP)
            return false;
    }
    return sim->refusals == 0;
}

/* One chain with one difference of clocks. Returns the exit status. */
static int play(const struct request *r, const struct gh_key_chain *here,
                const struct gh_key_chain *there, int64_t skew, json_t *runs)
{
    struct gh_sim_setup setup = {.here = here, .there = there, .from = r->from, .skew = skew};
    int64_t last = gh_sim_last_change(here, there);
    struct gh_sim sim;
    int status;

    setup.to = last > r->from ? last + 86400 + (skew < 0 ? -skew : skew) : r->from + 365 * 86400;
    if (r->to_text != NULL && !gh_cmd_time("--to", r->to_text, r->from, &setup.to))
        return CMD_USAGE;
    if (setup.to <= setup.from) {
        fprintf(stderr, "--to: the end must be after the beginning\n");
        return CMD_USAGE;
    }
    if (!gh_simulate(&setup, &sim)) {
        fprintf(stderr, "out of memory\n");
        return CMD_PROBLEMS;
    }
    if (runs != NULL) {
        json_t *o = gh_sim_json(&sim);

        json_object_set_new(o, "key-chain", json_string(here->name));
        json_array_append_new(runs, o);
    } else {
        printf("Key chain \"%s\"%s\n", here->name, there == NULL ? ", against its mirror" : "");
        gh_sim_print(&sim, "this end", "the peer", stdout);
        putchar('\n');
    }
    status = always_up(&sim) ? CMD_GOOD : CMD_PROBLEMS;
    gh_sim_free(&sim);
    return status;
}

static int play_chain(const struct request *r, const struct gh_config *config, size_t i,
                      const struct gh_config *peer, json_t *runs)
{
    const struct gh_key_chain *there = peer != NULL ? facing(config, i, peer) : NULL;
    int first, second = CMD_GOOD;

    if (peer != NULL && there == NULL) {
        fprintf(stderr,
                "%s: no key chain there faces \"%s\"; the sessions' addresses do not match\n",
                r->peer, config->chains[i].name);
        return CMD_PROBLEMS;
    }
    first = play(r, &config->chains[i], there, r->skew, runs);
    if (r->skew != 0 && first != CMD_USAGE)
        second = play(r, &config->chains[i], there, -r->skew, runs);
    return first > second ? first : second;
}

static bool in_use(const struct gh_config *c, size_t chain)
{
    for (size_t i = 0; i < c->session_count; i++) {
        if (c->sessions[i].chain == chain)
            return true;
    }
    return c->session_count == 0;
}

static int play_all(const struct request *r, const struct gh_config *config,
                    const struct gh_config *peer, json_t *runs)
{
    int worst = CMD_GOOD;
    bool found = false;

    for (size_t i = 0; i < config->chain_count; i++) {
        int status;

        if (r->chain != NULL ? strcmp(config->chains[i].name, r->chain) != 0 : !in_use(config, i))
            continue;
        found = true;
        status = play_chain(r, config, i, peer, runs);
        worst = status > worst ? status : worst;
    }
    if (!found) {
        fprintf(stderr, "%s: there is no such key chain\n", r->file);
        return CMD_USAGE;
    }
    return worst;
}

int gh_cmd_simulate(int argc, char **argv)
{
    struct gh_problems problems = {0};
    struct gh_config *config, *peer = NULL;
    struct request r;
    json_t *runs = NULL;
    int status = parse_request(argc, argv, &r);

    if (status >= 0)
        return status;
    config = gh_cmd_load(r.file, &problems);
    if (r.peer != NULL)
        peer = gh_cmd_load(r.peer, &problems);
    if (problems.errors > 0)
        gh_problems_print(&problems, stderr);
    status = CMD_PROBLEMS;
    if (config != NULL && (r.peer == NULL || peer != NULL)) {
        if (r.json)
            runs = json_array();
        status = play_all(&r, config, peer, runs);
        if (r.json)
            gh_cmd_print_json(json_pack("{s:o}", "runs", runs));
    }
    gh_problems_clear(&problems);
    gh_config_free(config);
    gh_config_free(peer);
    return status;
}

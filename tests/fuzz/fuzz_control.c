/* Any line sent to the control socket gets an answer that is one line of JSON without a secret. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/render.h"
#include "config/config.h"
#include "control/control.h"
#include "tcpao/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char config_text[] =
    "key-chain core { key 1 { send-id = 3  recv-id = 8  algorithm = \"hmac-sha-1-96\"\n"
    "                         secret = \"sesame\"  send-lifetime = \"infinite\" } }\n"
    "tcp-ao upstream { peer = \"192.0.2.2\"  port = 179  key-chain = core }\n"
    "tcp-ao fabric { peer = \"2001:db8::/64\"  port = 179  key-chain = core }\n";

static struct gh_control_view view = {.version = "0"};

/* A socket with keys of its own for two peers; no name that the program chose is text for sure. */
static void give_socket(struct tcpao_chain *chain)
{
    struct ao_socket_flow f[2] = {
        {.name = "bird\xff[812] *:179", .local_port = 179, .chain = chain}};

    f[0].peer = (struct gh_prefix){.addr = {{192, 0, 2, 9}, 4}, .bits = 32};
    f[1] = f[0];
    f[1].peer.addr.octets[3] = 10;
    if (!ao_engine_set_socket(view.engine, (struct gh_now){.wall = 1}, 5, f, 2))
        abort();
}

static void set_up(void)
{
    struct gh_problems problems = {0};
    struct ao_engine_settings settings = {.max_connections = 16};
    struct gh_config *config =
        gh_config_parse("fuzz", config_text, strlen(config_text), NULL, &problems);
    struct tcpao_chain *chain;
    struct ao_policy list[2] = {0};

    if (config == NULL || (chain = gh_key_chain_build(&config->chains[0])) == NULL)
        abort();
    gh_problems_clear(&problems);
    for (size_t i = 0; i < 2; i++)
        list[i] = (struct ao_policy){.name = config->sessions[i].name,
                                     .chain_name = "core",
                                     .chain = chain,
                                     .peer = config->sessions[i].peer,
                                     .port = 179};
    view.config = config;
    view.engine = ao_engine_new(&settings);
    if (view.engine == NULL ||
        !ao_engine_set_policies(view.engine, (struct gh_now){.wall = 1}, list, 2))
        abort();
    give_socket(chain);
    tcpao_chain_put(chain);
}

static bool holds_secret(const void *text, size_t len)
{
    return memmem(text, len, "sesame", 6) != NULL;
}

static void render(const json_t *request, const json_t *answer)
{
    static FILE *sink;
    const char *op = gh_control_op(request);
    cli_render_fn render_answer = op != NULL ? cli_renderer(op) : NULL;

    if (sink == NULL && (sink = fopen("/dev/null", "w")) == NULL)
        abort();
    if (render_answer != NULL && json_is_true(json_object_get(answer, "ok")))
        render_answer(&(struct cli_render){.out = sink, .width = 60, .detail = true}, answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct gh_now now = {.wall = 1800000000, .mono_ms = 1000};
    json_t *request, *answer;
    size_t line_len;
    char *line;

    if (view.engine == NULL)
        set_up();
    request = gh_control_parse((const char *)data, len, &answer);
    if (request != NULL)
        answer = gh_control_handle(&view, now, request);
    line = answer != NULL ? gh_control_line(answer, &line_len) : NULL;
    if (line == NULL || memchr(line, '\n', line_len) != line + line_len - 1 ||
        !json_is_boolean(json_object_get(answer, "ok")) ||
        (holds_secret(line, line_len) && !holds_secret(data, len)))
        abort();
    render(request, answer);
    free(line);
    json_decref(answer);
    json_decref(request);
    return 0;
}

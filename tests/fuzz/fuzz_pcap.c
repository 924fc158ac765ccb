/*
 * A capture file of any octets through all of verify-pcap but its output: libpcap, the dissector,
 * the connections, the MACs and the diagnosis, with a fixed configuration.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/reader.h"
#include "capture/report.h"
#include "capture/verifier.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char config_text[] =
    "key-chain core {\n"
    "  key 1 { send-id = 123 recv-id = 123 algorithm = \"hmac-sha-1-96\" secret = \"123\"\n"
    "          include-tcp-options = false }\n"
    "  key 2 { send-id = 5 recv-id = 6 algorithm = \"aes-128-cmac-96\" secret = \"second\" }\n"
    "}\n"
    "tcp-ao cisco { peer = \"32.0.0.2\" port = 179 key-chain = core }\n"
    "tcp-ao six { peer = \"fd00::/16\" port = 179 key-chain = core }\n";

static struct gh_config *load_config(void)
{
    static const struct gh_config_options options;
    struct gh_problems problems = {0};
    struct gh_config *config =
        gh_config_parse("fuzz", config_text, strlen(config_text), &options, &problems);

    if (config == NULL) {
        gh_problems_print(&problems, stderr);
        abort();
    }
    gh_problems_clear(&problems);
    return config;
}

/* Every counted segment is in exactly one connection's figures. */
static void check_figures(const struct cap_verifier *v, uint64_t judged)
{
    const struct cap_totals *t = cap_verifier_totals(v);
    uint64_t sum = 0, in_connections = 0;

    for (int i = 0; i < CAP_SUMS; i++)
        sum += t->sums[i];
    for (const struct cap_connection *c = cap_verifier_connections(v); c != NULL; c = c->next)
        for (int i = 0; i < CAP_VERDICT_COUNT; i++)
            in_connections += c->verdicts[i];
    if (sum != judged || in_connections != judged)
        abort();
}

static void verify(struct cap_reader *reader, const struct gh_config *config)
{
    struct cap_verifier *v = cap_verifier_new(config, NULL);
    FILE *nowhere = fopen("/dev/null", "w");
    char error[CAP_ERROR_TEXT];
    struct cap_packet packet;
    uint64_t judged = 0;

    if (v == NULL || nowhere == NULL)
        abort();
    while (cap_reader_next(reader, &packet, error) == CAP_PACKET) {
        struct cap_segment seg;

        if (cap_verifier_packet(v, &packet, &seg) != CAP_JUDGED)
            continue;
        judged++;
        cap_report_segment(nowhere, &seg);
        json_decref(cap_json_segment(&seg));
    }
    check_figures(v, judged);
    fclose(nowhere);
    cap_verifier_free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct gh_config *config;
    char error[CAP_ERROR_TEXT];
    struct cap_reader *reader;
    uint8_t *copy;

    if (config == NULL)
        config = load_config();
    if (len == 0 || (copy = malloc(len)) == NULL)
        return 0;
    memcpy(copy, data, len);
    reader = cap_reader_stream(fmemopen(copy, len, "rb"), error);
    if (reader != NULL)
        verify(reader, config);
    cap_reader_close(reader);
    free(copy);
    return 0;
}

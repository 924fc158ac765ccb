/* Files that the parent opened, into which keys are written for who debugs: IKE's and ESP's. */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "daemon/esp_keys.h"
#include "daemon/ike_priv.h"

/* One write a line, so that lines of several processes do not mix. */
static void write_keys(int fd, const char *line)
{
    struct iovec parts[] = {{.iov_base = (void *)(uintptr_t)line, .iov_len = strlen(line)},
                            {.iov_base = (void *)(uintptr_t) "\n", .iov_len = 1}};

    if (fd >= 0 && writev(fd, parts, 2) < 0)
        gh_warning("the key log: %s", strerror(errno));
}

static void core_key_log(void *ctx, const char *line)
{
    struct ike *ike = ctx;

    write_keys(ike->key_logs[GH_KEY_LOG_IKE], line);
}

void gh_ike_log_child_keys(struct ike *ike, const struct ike2_child_view *c)
{
    char line[GH_ESP_KEYS_LINE];

    for (int out = 0; ike->key_logs[GH_KEY_LOG_ESP] >= 0 && out < 2; out++)
        if (gh_esp_keys_line(c, out == 1, line))
            write_keys(ike->key_logs[GH_KEY_LOG_ESP], line);
    gh_wipe(line, sizeof(line));
}

bool gh_ike_take_key_log(struct ike *ike, struct gh_rd *body, int fd)
{
    const uint8_t which = gh_rd_u8(body);

    if (which >= GH_KEY_LOGS) {
        close(fd);
        return false;
    }
    if (ike->next_key_logs[which] >= 0)
        close(ike->next_key_logs[which]);
    ike->next_key_logs[which] = fd;
    return true;
}

void gh_ike_use_key_logs(struct ike *ike)
{
    for (int i = 0; i < GH_KEY_LOGS; i++) {
        if (ike->key_logs[i] >= 0)
            close(ike->key_logs[i]);
        ike->key_logs[i] = ike->next_key_logs[i];
        ike->next_key_logs[i] = -1;
    }
    ike2_set_key_log(ike->core, ike->key_logs[GH_KEY_LOG_IKE] >= 0 ? core_key_log : NULL);
}

#include "daemon/esp_names.h"

#include <stdlib.h>
#include <string.h>

uint32_t gh_esp_number(struct gh_esp_names *n, const char *first, const char *second)
{
    struct gh_esp_name *more;

    first = first != NULL ? first : "";
    second = second != NULL ? second : "";
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->list[i].first, first) == 0 && strcmp(n->list[i].second, second) == 0)
            return (uint32_t)i;
    if (n->count == GH_ESP_NAMES_MAX)
        return UINT32_MAX;
    more = realloc(n->list, (n->count + 1) * sizeof(*more));
    if (more == NULL)
        return UINT32_MAX;
    n->list = more;
    more[n->count] = (struct gh_esp_name){.first = strdup(first), .second = strdup(second)};
    if (more[n->count].first == NULL || more[n->count].second == NULL) {
        free(more[n->count].first);
        free(more[n->count].second);
        return UINT32_MAX;
    }
    return (uint32_t)n->count++;
}

void gh_esp_names_free(struct gh_esp_names *n)
{
    for (size_t i = 0; i < n->count; i++) {
        free(n->list[i].first);
        free(n->list[i].second);
    }
    free(n->list);
    *n = (struct gh_esp_names){.count = 0};
}

#include "capture/reader.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "capture/link.h"

_Static_assert(CAP_ERROR_TEXT >= PCAP_ERRBUF_SIZE, "libpcap's messages must fit");

struct cap_reader {
    pcap_t *pcap;
    int link_type;
    uint64_t frames, skipped;
};

struct cap_reader *cap_reader_stream(FILE *stream, char error[CAP_ERROR_TEXT])
{
    struct cap_reader *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        snprintf(error, CAP_ERROR_TEXT, "no memory");
        fclose(stream);
        return NULL;
    }
    r->pcap = pcap_fopen_offline(stream, error);
    if (r->pcap == NULL) {
        fclose(stream);
        free(r);
        return NULL;
    }
    r->link_type = pcap_datalink(r->pcap);
    if (!cap_link_known(r->link_type)) {
        const char *name = pcap_datalink_val_to_name(r->link_type);

        snprintf(error, CAP_ERROR_TEXT,
                 "link type %s (%d) is not supported: capture on Ethernet, raw IP, Linux cooked or "
                 "loopback",
                 name != NULL ? name : "unknown", r->link_type);
        cap_reader_close(r);
        return NULL;
    }
    return r;
}

struct cap_reader *cap_reader_open(const char *path, char error[CAP_ERROR_TEXT])
{
    FILE *stream = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");

    if (stream == NULL) {
        snprintf(error, CAP_ERROR_TEXT, "%s", strerror(errno));
        return NULL;
    }
    return cap_reader_stream(stream, error);
}

void cap_reader_close(struct cap_reader *r)
{
    if (r == NULL)
        return;
    pcap_close(r->pcap);
    free(r);
}

enum cap_next cap_reader_next(struct cap_reader *r, struct cap_packet *out,
                              char error[CAP_ERROR_TEXT])
{
    struct pcap_pkthdr *header;
    const u_char *frame;
    size_t offset;
    int got;

    while ((got = pcap_next_ex(r->pcap, &header, &frame)) == 1) {
        r->frames++;
        if (!cap_link_find_ip(r->link_type, frame, header->caplen, &offset)) {
            r->skipped++;
            continue;
        }
        *out = (struct cap_packet){.frame = r->frames,
                                   .seconds = header->ts.tv_sec,
                                   .microseconds = (uint32_t)header->ts.tv_usec % 1000000,
                                   .data = frame + offset,
                                   .len = header->caplen - offset,
                                   .snapped = header->caplen < header->len};
        return CAP_PACKET;
    }
    if (got == PCAP_ERROR_BREAK)
        return CAP_END;
    snprintf(error, CAP_ERROR_TEXT, "%s", pcap_geterr(r->pcap));
    return CAP_BROKEN;
}

uint64_t cap_reader_skipped(const struct cap_reader *r)
{
    return r->skipped;
}

/*
 * Capture files, pcap and pcapng, as a sequence of IP packets.
 *
 * verify-pcap and its fuzzer read captures through it. Owns the libpcap handle; packet bytes are
 * borrowed until the next call.
 */
#ifndef GH_CAPTURE_READER_H
#define GH_CAPTURE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct cap_packet {
    uint64_t frame;        /* number in the file, from 1, as Wireshark counts */
    int64_t seconds;       /* since 1970-01-01T00:00:00Z */
    uint32_t microseconds; /* 0 … 999999 */
    const uint8_t *data;   /* the IP packet; octets of the link layer may follow it */
    size_t len;
    bool snapped; /* the capture kept fewer octets than the frame had */
};

struct cap_reader;

enum { CAP_ERROR_TEXT = 512 };

/* NULL: not readable; `error` says why. "-" is standard input. */
struct cap_reader *cap_reader_open(const char *path, char error[CAP_ERROR_TEXT]);
/* The same from a stream, which the reader closes, also when it fails. */
struct cap_reader *cap_reader_stream(FILE *stream, char error[CAP_ERROR_TEXT]);
void cap_reader_close(struct cap_reader *r); /* NULL is fine */

enum cap_next { CAP_PACKET, CAP_END, CAP_BROKEN };

/* The next IP packet; other frames are counted and skipped. BROKEN: the file ends in the middle. */
enum cap_next cap_reader_next(struct cap_reader *r, struct cap_packet *out,
                              char error[CAP_ERROR_TEXT]);
/* Frames so far that were no IP. */
uint64_t cap_reader_skipped(const struct cap_reader *r);

#endif

/*
 * The values of Linux's TCP-AO and TCP-MD5 socket options as octets: <linux/tcp.h>'s structures
 * field by field, in the host's byte order but for addresses, ports and ISNs.
 *
 * Pure. Whoever reads a value with a key in it wipes the structure.
 */
#ifndef GH_EMULATE_LAYOUT_H
#define GH_EMULATE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

enum emu_sizes {
    EMU_ADD_SIZE = 288,
    EMU_DEL_SIZE = 144,
    EMU_INFO_SIZE = 48,
    EMU_GET_SIZE = 304,
    EMU_GET_NKEYS = 272, /* where the number of matches goes */
    EMU_REPAIR_SIZE = 16,
    EMU_MD5_SIZE = 216,
    EMU_KEY_MAX = 80, /* octets of a master key */
    EMU_ALG_NAME = 64
};

enum emu_key_flags {
    EMU_KEYF_IFINDEX = 1,    /* the ifindex is meant: 0 is the default VRF */
    EMU_KEYF_EXCLUDE_OPT = 2 /* other TCP options are not in the MAC */
};

/* A sockaddr before anybody has decided which family it is of. */
struct emu_sockaddr {
    uint16_t family;
    uint16_t port;
    uint8_t v4[4], v6[16];
};

/* Zero-initialised is empty: all flags off. */
struct emu_add {
    struct emu_sockaddr addr;
    char alg[EMU_ALG_NAME];
    int32_t ifindex;
    bool set_current, set_rnext, reserved;
    uint8_t prefix, send_id, recv_id, mac_len, flags, key_len;
    uint8_t key[EMU_KEY_MAX];
};

struct emu_del {
    struct emu_sockaddr addr;
    int32_t ifindex;
    bool set_current, set_rnext, async, reserved;
    uint8_t prefix, send_id, recv_id, current, rnext, flags;
};

struct emu_info {
    bool set_current, set_rnext, ao_required, set_counters, accept_icmps, reserved;
    uint8_t current, rnext;
    uint64_t counters[5]; /* good, bad, key not found, AO required, dropped ICMP */
};

/* What a program asks of TCP_AO_GET_KEYS. */
struct emu_filter {
    struct emu_sockaddr addr;
    uint32_t nkeys;
    bool is_current, is_rnext, get_all, reserved, counters_set;
    uint8_t send_id, recv_id, prefix, flags;
    int32_t ifindex;
};

/* One key as TCP_AO_GET_KEYS answers it. */
struct emu_entry {
    struct gh_addr addr;
    const char *alg;
    const uint8_t *key;
    bool is_current, is_rnext;
    uint8_t send_id, recv_id, prefix, mac_len, flags, key_len;
    uint32_t ifindex;
    uint64_t good, bad;
};

struct emu_repair {
    uint32_t snt_isn, rcv_isn; /* in host order here */
    uint32_t snd_sne, rcv_sne;
};

struct emu_md5 {
    struct emu_sockaddr addr;
    uint8_t flags, prefix;
    uint16_t key_len;
    int32_t ifindex;
};
enum emu_md5_flags { EMU_MD5F_PREFIX = 1, EMU_MD5F_IFINDEX = 2 };

/* A structure of `size` octets from a value of `len`: what is missing is zero. False: the value is
 * longer and does not end in zeros (E2BIG). */
bool emu_copy_struct(const uint8_t *value, size_t len, size_t size, uint8_t *out);

void emu_read_add(const uint8_t value[EMU_ADD_SIZE], struct emu_add *out);
void emu_read_del(const uint8_t value[EMU_DEL_SIZE], struct emu_del *out);
void emu_read_info(const uint8_t value[EMU_INFO_SIZE], struct emu_info *out);
void emu_read_filter(const uint8_t value[EMU_GET_SIZE], struct emu_filter *out);
void emu_read_repair(const uint8_t value[EMU_REPAIR_SIZE], struct emu_repair *out);
void emu_read_md5(const uint8_t value[EMU_MD5_SIZE], struct emu_md5 *out);

void emu_write_info(const struct emu_info *in, uint8_t out[EMU_INFO_SIZE]);
void emu_write_entry(const struct emu_entry *in, uint8_t out[EMU_GET_SIZE]);
void emu_write_nkeys(uint32_t nkeys, uint8_t out[4]);
void emu_write_repair(const struct emu_repair *in, uint8_t out[EMU_REPAIR_SIZE]);

#endif

/*
 * The Encrypted payload (RFC 7296 3.14, 5282): the envelope of all messages but the first.
 *
 * What is authenticated is all from the IKE header to the last octet before the ICV. Sealing pads
 * to the cipher's block and no further.
 */
#ifndef IKE_SK_H
#define IKE_SK_H

#include "crypto/cipher.h"
#include "ike/payload.h"

/* Octets of a message that seals `inner_len` octets, with its header. */
size_t ike_sk_message_len(const struct gh_cipher *c, size_t inner_len);

/*
 * Writes the whole message. `first` and `inner` come from an inner chain (out.h); next payload and
 * length of `h` do not count. The IV is the caller's: gh_cipher_iv_len() octets, random or a
 * counter as gh_enc_iv_random() says. `inner` must not lie in `mem`. False: no room, a wrong IV, or
 * no cryptography; then `mem` has nothing that could leave.
 */
bool ike_sk_seal(struct gh_cipher *c, const struct ike_header *h, uint8_t first,
                 struct gh_view inner, struct gh_view iv, uint8_t *mem, size_t cap,
                 struct gh_view *datagram);

/* The same with one payload in clear in front of the envelope, authenticated too: the puzzle's
 * solution in IKE_AUTH (RFC 8019 7.2.2). Its octets come on top of ike_sk_message_len(). */
bool ike_sk_seal_beside(struct gh_cipher *c, const struct ike_header *h,
                        const struct ike_payload *beside, uint8_t first, struct gh_view inner,
                        struct gh_view iv, uint8_t *mem, size_t cap, struct gh_view *datagram);

/*
 * Opens in place: `datagram` are the octets that `m` was parsed from, and are decrypted where they
 * are; `inner` borrows them. Nothing inside counts before the ICV is right. IKE_NOT_AUTHENTIC: what
 * was encrypted is wiped. IKE_PADDING can only come from the peer itself. A message without SK is
 * IKE_NOT_SEALED. Then: ike_payloads_parse(m->sealed.first, inner, …).
 */
enum ike_fault ike_sk_open(struct gh_cipher *c, uint8_t *datagram, const struct ike_message *m,
                           struct gh_view *inner);

#endif

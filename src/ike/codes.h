/*
 * IKEv2 code points: each IANA registry is one list that yields an enum and the names.
 *
 * X(constant, number, name). The names are the registry's own, so that logs can be searched for in
 * the RFCs. Numbers off the wire are plain integers: an enum only lists what is registered.
 */
#ifndef IKE_CODES_H
#define IKE_CODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IKE_EXCHANGES(X)                                                                           \
    X(IKE_X_SA_INIT, 34, "IKE_SA_INIT")                                                            \
    X(IKE_X_AUTH, 35, "IKE_AUTH")                                                                  \
    X(IKE_X_CREATE_CHILD_SA, 36, "CREATE_CHILD_SA")                                                \
    X(IKE_X_INFORMATIONAL, 37, "INFORMATIONAL")                                                    \
    X(IKE_X_SESSION_RESUME, 38, "IKE_SESSION_RESUME")                                              \
    X(IKE_X_GSA_AUTH, 39, "GSA_AUTH")                                                              \
    X(IKE_X_GSA_REGISTRATION, 40, "GSA_REGISTRATION")                                              \
    X(IKE_X_GSA_REKEY, 41, "GSA_REKEY")                                                            \
    X(IKE_X_INTERMEDIATE, 43, "IKE_INTERMEDIATE")                                                  \
    X(IKE_X_FOLLOWUP_KE, 44, "IKE_FOLLOWUP_KE")

#define IKE_PAYLOAD_TYPES(X)                                                                       \
    X(IKE_P_NONE, 0, "none")                                                                       \
    X(IKE_P_SA, 33, "SA")                                                                          \
    X(IKE_P_KE, 34, "KE")                                                                          \
    X(IKE_P_IDI, 35, "IDi")                                                                        \
    X(IKE_P_IDR, 36, "IDr")                                                                        \
    X(IKE_P_CERT, 37, "CERT")                                                                      \
    X(IKE_P_CERTREQ, 38, "CERTREQ")                                                                \
    X(IKE_P_AUTH, 39, "AUTH")                                                                      \
    X(IKE_P_NONCE, 40, "Nonce")                                                                    \
    X(IKE_P_NOTIFY, 41, "N")                                                                       \
    X(IKE_P_DELETE, 42, "D")                                                                       \
    X(IKE_P_VENDOR, 43, "V")                                                                       \
    X(IKE_P_TSI, 44, "TSi")                                                                        \
    X(IKE_P_TSR, 45, "TSr")                                                                        \
    X(IKE_P_SK, 46, "SK")                                                                          \
    X(IKE_P_CP, 47, "CP")                                                                          \
    X(IKE_P_EAP, 48, "EAP")                                                                        \
    X(IKE_P_GSPM, 49, "GSPM")                                                                      \
    X(IKE_P_IDG, 50, "IDg")                                                                        \
    X(IKE_P_GSA, 51, "GSA")                                                                        \
    X(IKE_P_KD, 52, "KD")                                                                          \
    X(IKE_P_SKF, 53, "SKF")                                                                        \
    X(IKE_P_PS, 54, "PS")

#define IKE_PROTOCOLS(X)                                                                           \
    X(IKE_PROTO_NONE, 0, "none")                                                                   \
    X(IKE_PROTO_IKE, 1, "IKE")                                                                     \
    X(IKE_PROTO_AH, 2, "AH")                                                                       \
    X(IKE_PROTO_ESP, 3, "ESP")                                                                     \
    X(IKE_PROTO_FC_ESP_HEADER, 4, "FC_ESP_HEADER")                                                 \
    X(IKE_PROTO_FC_CT_AUTHENTICATION, 5, "FC_CT_AUTHENTICATION")                                   \
    X(IKE_PROTO_GIKE_UPDATE, 6, "GIKE_UPDATE")                                                     \
    X(IKE_PROTO_TCP_AO, 201, "TCP-AO") /* private use: tcp_ao.h */

#define IKE_TRANSFORM_TYPES(X)                                                                     \
    X(IKE_T_ENCR, 1, "ENCR")                                                                       \
    X(IKE_T_PRF, 2, "PRF")                                                                         \
    X(IKE_T_INTEG, 3, "INTEG")                                                                     \
    X(IKE_T_KE, 4, "KE")                                                                           \
    X(IKE_T_SN, 5, "SN")                                                                           \
    X(IKE_T_ADDKE1, 6, "ADDKE1")                                                                   \
    X(IKE_T_ADDKE2, 7, "ADDKE2")                                                                   \
    X(IKE_T_ADDKE3, 8, "ADDKE3")                                                                   \
    X(IKE_T_ADDKE4, 9, "ADDKE4")                                                                   \
    X(IKE_T_ADDKE5, 10, "ADDKE5")                                                                  \
    X(IKE_T_ADDKE6, 11, "ADDKE6")                                                                  \
    X(IKE_T_ADDKE7, 12, "ADDKE7")                                                                  \
    X(IKE_T_KWA, 13, "KWA")                                                                        \
    X(IKE_T_GCAUTH, 14, "GCAUTH")

#define IKE_ENCRS(X)                                                                               \
    X(IKE_ENCR_DES_IV64, 1, "ENCR_DES_IV64")                                                       \
    X(IKE_ENCR_DES, 2, "ENCR_DES")                                                                 \
    X(IKE_ENCR_3DES, 3, "ENCR_3DES")                                                               \
    X(IKE_ENCR_RC5, 4, "ENCR_RC5")                                                                 \
    X(IKE_ENCR_IDEA, 5, "ENCR_IDEA")                                                               \
    X(IKE_ENCR_CAST, 6, "ENCR_CAST")                                                               \
    X(IKE_ENCR_BLOWFISH, 7, "ENCR_BLOWFISH")                                                       \
    X(IKE_ENCR_NULL, 11, "ENCR_NULL")                                                              \
    X(IKE_ENCR_AES_CBC, 12, "ENCR_AES_CBC")                                                        \
    X(IKE_ENCR_AES_CTR, 13, "ENCR_AES_CTR")                                                        \
    X(IKE_ENCR_AES_CCM_8, 14, "ENCR_AES_CCM_8")                                                    \
    X(IKE_ENCR_AES_CCM_12, 15, "ENCR_AES_CCM_12")                                                  \
    X(IKE_ENCR_AES_CCM_16, 16, "ENCR_AES_CCM_16")                                                  \
    X(IKE_ENCR_AES_GCM_8, 18, "ENCR_AES_GCM_8")                                                    \
    X(IKE_ENCR_AES_GCM_12, 19, "ENCR_AES_GCM_12")                                                  \
    X(IKE_ENCR_AES_GCM_16, 20, "ENCR_AES_GCM_16")                                                  \
    X(IKE_ENCR_NULL_AES_GMAC, 21, "ENCR_NULL_AUTH_AES_GMAC")                                       \
    X(IKE_ENCR_CAMELLIA_CBC, 23, "ENCR_CAMELLIA_CBC")                                              \
    X(IKE_ENCR_CAMELLIA_CTR, 24, "ENCR_CAMELLIA_CTR")                                              \
    X(IKE_ENCR_CAMELLIA_CCM_8, 25, "ENCR_CAMELLIA_CCM_8")                                          \
    X(IKE_ENCR_CAMELLIA_CCM_12, 26, "ENCR_CAMELLIA_CCM_12")                                        \
    X(IKE_ENCR_CAMELLIA_CCM_16, 27, "ENCR_CAMELLIA_CCM_16")                                        \
    X(IKE_ENCR_CHACHA20_POLY1305, 28, "ENCR_CHACHA20_POLY1305")                                    \
    X(IKE_ENCR_AES_CCM_8_IIV, 29, "ENCR_AES_CCM_8_IIV")                                            \
    X(IKE_ENCR_AES_GCM_16_IIV, 30, "ENCR_AES_GCM_16_IIV")                                          \
    X(IKE_ENCR_CHACHA20_POLY1305_IIV, 31, "ENCR_CHACHA20_POLY1305_IIV")                            \
    X(IKE_ENCR_KUZNYECHIK_MGM_KTREE, 32, "ENCR_KUZNYECHIK_MGM_KTREE")                              \
    X(IKE_ENCR_MAGMA_MGM_KTREE, 33, "ENCR_MAGMA_MGM_KTREE")                                        \
    X(IKE_ENCR_KUZNYECHIK_MGM_MAC_KTREE, 34, "ENCR_KUZNYECHIK_MGM_MAC_KTREE")                      \
    X(IKE_ENCR_MAGMA_MGM_MAC_KTREE, 35, "ENCR_MAGMA_MGM_MAC_KTREE")

#define IKE_PRFS(X)                                                                                \
    X(IKE_PRF_HMAC_MD5, 1, "PRF_HMAC_MD5")                                                         \
    X(IKE_PRF_HMAC_SHA1, 2, "PRF_HMAC_SHA1")                                                       \
    X(IKE_PRF_HMAC_TIGER, 3, "PRF_HMAC_TIGER")                                                     \
    X(IKE_PRF_AES128_XCBC, 4, "PRF_AES128_XCBC")                                                   \
    X(IKE_PRF_HMAC_SHA2_256, 5, "PRF_HMAC_SHA2_256")                                               \
    X(IKE_PRF_HMAC_SHA2_384, 6, "PRF_HMAC_SHA2_384")                                               \
    X(IKE_PRF_HMAC_SHA2_512, 7, "PRF_HMAC_SHA2_512")                                               \
    X(IKE_PRF_AES128_CMAC, 8, "PRF_AES128_CMAC")                                                   \
    X(IKE_PRF_HMAC_STREEBOG_512, 9, "PRF_HMAC_STREEBOG_512")

#define IKE_INTEGS(X)                                                                              \
    X(IKE_INTEG_NONE, 0, "NONE")                                                                   \
    X(IKE_INTEG_HMAC_MD5_96, 1, "AUTH_HMAC_MD5_96")                                                \
    X(IKE_INTEG_HMAC_SHA1_96, 2, "AUTH_HMAC_SHA1_96")                                              \
    X(IKE_INTEG_DES_MAC, 3, "AUTH_DES_MAC")                                                        \
    X(IKE_INTEG_KPDK_MD5, 4, "AUTH_KPDK_MD5")                                                      \
    X(IKE_INTEG_AES_XCBC_96, 5, "AUTH_AES_XCBC_96")                                                \
    X(IKE_INTEG_HMAC_MD5_128, 6, "AUTH_HMAC_MD5_128")                                              \
    X(IKE_INTEG_HMAC_SHA1_160, 7, "AUTH_HMAC_SHA1_160")                                            \
    X(IKE_INTEG_AES_CMAC_96, 8, "AUTH_AES_CMAC_96")                                                \
    X(IKE_INTEG_AES_128_GMAC, 9, "AUTH_AES_128_GMAC")                                              \
    X(IKE_INTEG_AES_192_GMAC, 10, "AUTH_AES_192_GMAC")                                             \
    X(IKE_INTEG_AES_256_GMAC, 11, "AUTH_AES_256_GMAC")                                             \
    X(IKE_INTEG_HMAC_SHA2_256_128, 12, "AUTH_HMAC_SHA2_256_128")                                   \
    X(IKE_INTEG_HMAC_SHA2_384_192, 13, "AUTH_HMAC_SHA2_384_192")                                   \
    X(IKE_INTEG_HMAC_SHA2_512_256, 14, "AUTH_HMAC_SHA2_512_256")

#define IKE_KES(X)                                                                                 \
    X(IKE_KE_NONE, 0, "NONE")                                                                      \
    X(IKE_KE_MODP_768, 1, "MODP768")                                                               \
    X(IKE_KE_MODP_1024, 2, "MODP1024")                                                             \
    X(IKE_KE_MODP_1536, 5, "MODP1536")                                                             \
    X(IKE_KE_MODP_2048, 14, "MODP2048")                                                            \
    X(IKE_KE_MODP_3072, 15, "MODP3072")                                                            \
    X(IKE_KE_MODP_4096, 16, "MODP4096")                                                            \
    X(IKE_KE_MODP_6144, 17, "MODP6144")                                                            \
    X(IKE_KE_MODP_8192, 18, "MODP8192")                                                            \
    X(IKE_KE_ECP_256, 19, "ECP256")                                                                \
    X(IKE_KE_ECP_384, 20, "ECP384")                                                                \
    X(IKE_KE_ECP_521, 21, "ECP521")                                                                \
    X(IKE_KE_MODP_1024_160, 22, "MODP1024S160")                                                    \
    X(IKE_KE_MODP_2048_224, 23, "MODP2048S224")                                                    \
    X(IKE_KE_MODP_2048_256, 24, "MODP2048S256")                                                    \
    X(IKE_KE_ECP_192, 25, "ECP192")                                                                \
    X(IKE_KE_ECP_224, 26, "ECP224")                                                                \
    X(IKE_KE_BRAINPOOL_224, 27, "BRAINPOOL224")                                                    \
    X(IKE_KE_BRAINPOOL_256, 28, "BRAINPOOL256")                                                    \
    X(IKE_KE_BRAINPOOL_384, 29, "BRAINPOOL384")                                                    \
    X(IKE_KE_BRAINPOOL_512, 30, "BRAINPOOL512")                                                    \
    X(IKE_KE_CURVE25519, 31, "CURVE25519")                                                         \
    X(IKE_KE_CURVE448, 32, "CURVE448")                                                             \
    X(IKE_KE_GOST3410_256, 33, "GOST3410_2012_256")                                                \
    X(IKE_KE_GOST3410_512, 34, "GOST3410_2012_512")                                                \
    X(IKE_KE_ML_KEM_512, 35, "ML_KEM_512")                                                         \
    X(IKE_KE_ML_KEM_768, 36, "ML_KEM_768")                                                         \
    X(IKE_KE_ML_KEM_1024, 37, "ML_KEM_1024")

#define IKE_SNS(X)                                                                                 \
    X(IKE_SN_32, 0, "32-bit sequence numbers")                                                     \
    X(IKE_SN_64, 1, "extended sequence numbers")                                                   \
    X(IKE_SN_32_UNSPECIFIED, 2, "32-bit unspecified numbers")

#define IKE_ID_TYPES(X)                                                                            \
    X(IKE_ID_IPV4_ADDR, 1, "ID_IPV4_ADDR")                                                         \
    X(IKE_ID_FQDN, 2, "ID_FQDN")                                                                   \
    X(IKE_ID_RFC822_ADDR, 3, "ID_RFC822_ADDR")                                                     \
    X(IKE_ID_IPV6_ADDR, 5, "ID_IPV6_ADDR")                                                         \
    X(IKE_ID_DER_ASN1_DN, 9, "ID_DER_ASN1_DN")                                                     \
    X(IKE_ID_DER_ASN1_GN, 10, "ID_DER_ASN1_GN")                                                    \
    X(IKE_ID_KEY_ID, 11, "ID_KEY_ID")                                                              \
    X(IKE_ID_FC_NAME, 12, "ID_FC_NAME")                                                            \
    X(IKE_ID_NULL, 13, "ID_NULL")

#define IKE_CERT_ENCODINGS(X)                                                                      \
    X(IKE_CERT_PKCS7, 1, "PKCS #7 wrapped X.509 certificate")                                      \
    X(IKE_CERT_PGP, 2, "PGP certificate")                                                          \
    X(IKE_CERT_DNS_KEY, 3, "DNS signed key")                                                       \
    X(IKE_CERT_X509, 4, "X.509 certificate - signature")                                           \
    X(IKE_CERT_KERBEROS, 6, "Kerberos token")                                                      \
    X(IKE_CERT_CRL, 7, "certificate revocation list")                                              \
    X(IKE_CERT_ARL, 8, "authority revocation list")                                                \
    X(IKE_CERT_SPKI, 9, "SPKI certificate")                                                        \
    X(IKE_CERT_X509_ATTRIBUTE, 10, "X.509 certificate - attribute")                                \
    X(IKE_CERT_RAW_RSA, 11, "raw RSA key")                                                         \
    X(IKE_CERT_HASH_URL, 12, "hash and URL of X.509 certificate")                                  \
    X(IKE_CERT_HASH_URL_BUNDLE, 13, "hash and URL of X.509 bundle")                                \
    X(IKE_CERT_OCSP, 14, "OCSP content")                                                           \
    X(IKE_CERT_RAW_KEY, 15, "raw public key")

#define IKE_AUTH_METHODS(X)                                                                        \
    X(IKE_AUTH_RSA, 1, "RSA digital signature")                                                    \
    X(IKE_AUTH_PSK, 2, "shared key message integrity code")                                        \
    X(IKE_AUTH_DSS, 3, "DSS digital signature")                                                    \
    X(IKE_AUTH_ECDSA_256, 9, "ECDSA with SHA-256 on P-256")                                        \
    X(IKE_AUTH_ECDSA_384, 10, "ECDSA with SHA-384 on P-384")                                       \
    X(IKE_AUTH_ECDSA_521, 11, "ECDSA with SHA-512 on P-521")                                       \
    X(IKE_AUTH_GSPM, 12, "generic secure password authentication")                                 \
    X(IKE_AUTH_NULL, 13, "NULL authentication")                                                    \
    X(IKE_AUTH_SIGNATURE, 14, "digital signature")

#define IKE_HASHES(X)                                                                              \
    X(IKE_HASH_SHA1, 1, "SHA1")                                                                    \
    X(IKE_HASH_SHA2_256, 2, "SHA2-256")                                                            \
    X(IKE_HASH_SHA2_384, 3, "SHA2-384")                                                            \
    X(IKE_HASH_SHA2_512, 4, "SHA2-512")                                                            \
    X(IKE_HASH_IDENTITY, 5, "Identity")

#define IKE_TS_TYPES(X)                                                                            \
    X(IKE_TS_IPV4, 7, "TS_IPV4_ADDR_RANGE")                                                        \
    X(IKE_TS_IPV6, 8, "TS_IPV6_ADDR_RANGE")                                                        \
    X(IKE_TS_FC, 9, "TS_FC_ADDR_RANGE")                                                            \
    X(IKE_TS_SECLABEL, 10, "TS_SECLABEL")

#define IKE_CP_TYPES(X)                                                                            \
    X(IKE_CP_REQUEST, 1, "CFG_REQUEST")                                                            \
    X(IKE_CP_REPLY, 2, "CFG_REPLY")                                                                \
    X(IKE_CP_SET, 3, "CFG_SET")                                                                    \
    X(IKE_CP_ACK, 4, "CFG_ACK")

#define IKE_CP_ATTRIBUTES(X)                                                                       \
    X(IKE_CPA_IP4_ADDRESS, 1, "INTERNAL_IP4_ADDRESS")                                              \
    X(IKE_CPA_IP4_NETMASK, 2, "INTERNAL_IP4_NETMASK")                                              \
    X(IKE_CPA_IP4_DNS, 3, "INTERNAL_IP4_DNS")                                                      \
    X(IKE_CPA_IP4_NBNS, 4, "INTERNAL_IP4_NBNS")                                                    \
    X(IKE_CPA_IP4_DHCP, 6, "INTERNAL_IP4_DHCP")                                                    \
    X(IKE_CPA_APPLICATION_VERSION, 7, "APPLICATION_VERSION")                                       \
    X(IKE_CPA_IP6_ADDRESS, 8, "INTERNAL_IP6_ADDRESS")                                              \
    X(IKE_CPA_IP6_DNS, 10, "INTERNAL_IP6_DNS")                                                     \
    X(IKE_CPA_IP6_DHCP, 12, "INTERNAL_IP6_DHCP")                                                   \
    X(IKE_CPA_IP4_SUBNET, 13, "INTERNAL_IP4_SUBNET")                                               \
    X(IKE_CPA_SUPPORTED_ATTRIBUTES, 14, "SUPPORTED_ATTRIBUTES")                                    \
    X(IKE_CPA_IP6_SUBNET, 15, "INTERNAL_IP6_SUBNET")                                               \
    X(IKE_CPA_MIP6_HOME_PREFIX, 16, "MIP6_HOME_PREFIX")                                            \
    X(IKE_CPA_IP6_LINK, 17, "INTERNAL_IP6_LINK")                                                   \
    X(IKE_CPA_IP6_PREFIX, 18, "INTERNAL_IP6_PREFIX")                                               \
    X(IKE_CPA_HOME_AGENT_ADDRESS, 19, "HOME_AGENT_ADDRESS")                                        \
    X(IKE_CPA_P_CSCF_IP4, 20, "P_CSCF_IP4_ADDRESS")                                                \
    X(IKE_CPA_P_CSCF_IP6, 21, "P_CSCF_IP6_ADDRESS")                                                \
    X(IKE_CPA_FTT_KAT, 22, "FTT_KAT")                                                              \
    X(IKE_CPA_EXTERNAL_SOURCE_IP4_NAT_INFO, 23, "EXTERNAL_SOURCE_IP4_NAT_INFO")                    \
    X(IKE_CPA_TIMEOUT_PERIOD_FOR_LIVENESS_CHECK, 24, "TIMEOUT_PERIOD_FOR_LIVENESS_CHECK")          \
    X(IKE_CPA_DNS_DOMAIN, 25, "INTERNAL_DNS_DOMAIN")                                               \
    X(IKE_CPA_DNSSEC_TA, 26, "INTERNAL_DNSSEC_TA")                                                 \
    X(IKE_CPA_ENCDNS_IP4, 27, "ENCDNS_IP4")                                                        \
    X(IKE_CPA_ENCDNS_IP6, 28, "ENCDNS_IP6")                                                        \
    X(IKE_CPA_ENCDNS_DIGEST_INFO, 29, "ENCDNS_DIGEST_INFO")

#define IKE_EAP_CODES(X)                                                                           \
    X(IKE_EAP_REQUEST, 1, "Request")                                                               \
    X(IKE_EAP_RESPONSE, 2, "Response")                                                             \
    X(IKE_EAP_SUCCESS, 3, "Success")                                                               \
    X(IKE_EAP_FAILURE, 4, "Failure")

/* Errors are below IKE_N_STATUS, the others say something about the sender. */
#define IKE_NOTIFIES(X)                                                                            \
    X(IKE_N_UNSUPPORTED_CRITICAL_PAYLOAD, 1, "UNSUPPORTED_CRITICAL_PAYLOAD")                       \
    X(IKE_N_INVALID_IKE_SPI, 4, "INVALID_IKE_SPI")                                                 \
    X(IKE_N_INVALID_MAJOR_VERSION, 5, "INVALID_MAJOR_VERSION")                                     \
    X(IKE_N_INVALID_SYNTAX, 7, "INVALID_SYNTAX")                                                   \
    X(IKE_N_INVALID_MESSAGE_ID, 9, "INVALID_MESSAGE_ID")                                           \
    X(IKE_N_INVALID_SPI, 11, "INVALID_SPI")                                                        \
    X(IKE_N_NO_PROPOSAL_CHOSEN, 14, "NO_PROPOSAL_CHOSEN")                                          \
    X(IKE_N_INVALID_KE_PAYLOAD, 17, "INVALID_KE_PAYLOAD")                                          \
    X(IKE_N_AUTHENTICATION_FAILED, 24, "AUTHENTICATION_FAILED")                                    \
    X(IKE_N_SINGLE_PAIR_REQUIRED, 34, "SINGLE_PAIR_REQUIRED")                                      \
    X(IKE_N_NO_ADDITIONAL_SAS, 35, "NO_ADDITIONAL_SAS")                                            \
    X(IKE_N_INTERNAL_ADDRESS_FAILURE, 36, "INTERNAL_ADDRESS_FAILURE")                              \
    X(IKE_N_FAILED_CP_REQUIRED, 37, "FAILED_CP_REQUIRED")                                          \
    X(IKE_N_TS_UNACCEPTABLE, 38, "TS_UNACCEPTABLE")                                                \
    X(IKE_N_INVALID_SELECTORS, 39, "INVALID_SELECTORS")                                            \
    X(IKE_N_UNACCEPTABLE_ADDRESSES, 40, "UNACCEPTABLE_ADDRESSES")                                  \
    X(IKE_N_UNEXPECTED_NAT_DETECTED, 41, "UNEXPECTED_NAT_DETECTED")                                \
    X(IKE_N_USE_ASSIGNED_HOA, 42, "USE_ASSIGNED_HoA")                                              \
    X(IKE_N_TEMPORARY_FAILURE, 43, "TEMPORARY_FAILURE")                                            \
    X(IKE_N_CHILD_SA_NOT_FOUND, 44, "CHILD_SA_NOT_FOUND")                                          \
    X(IKE_N_INVALID_GROUP_ID, 45, "INVALID_GROUP_ID")                                              \
    X(IKE_N_AUTHORIZATION_FAILED, 46, "AUTHORIZATION_FAILED")                                      \
    X(IKE_N_STATE_NOT_FOUND, 47, "STATE_NOT_FOUND")                                                \
    X(IKE_N_TS_MAX_QUEUE, 48, "TS_MAX_QUEUE")                                                      \
    X(IKE_N_REGISTRATION_FAILED, 49, "REGISTRATION_FAILED")                                        \
    X(IKE_N_INITIAL_CONTACT, 16384, "INITIAL_CONTACT")                                             \
    X(IKE_N_SET_WINDOW_SIZE, 16385, "SET_WINDOW_SIZE")                                             \
    X(IKE_N_ADDITIONAL_TS_POSSIBLE, 16386, "ADDITIONAL_TS_POSSIBLE")                               \
    X(IKE_N_IPCOMP_SUPPORTED, 16387, "IPCOMP_SUPPORTED")                                           \
    X(IKE_N_NAT_DETECTION_SOURCE_IP, 16388, "NAT_DETECTION_SOURCE_IP")                             \
    X(IKE_N_NAT_DETECTION_DESTINATION_IP, 16389, "NAT_DETECTION_DESTINATION_IP")                   \
    X(IKE_N_COOKIE, 16390, "COOKIE")                                                               \
    X(IKE_N_USE_TRANSPORT_MODE, 16391, "USE_TRANSPORT_MODE")                                       \
    X(IKE_N_HTTP_CERT_LOOKUP_SUPPORTED, 16392, "HTTP_CERT_LOOKUP_SUPPORTED")                       \
    X(IKE_N_REKEY_SA, 16393, "REKEY_SA")                                                           \
    X(IKE_N_ESP_TFC_PADDING_NOT_SUPPORTED, 16394, "ESP_TFC_PADDING_NOT_SUPPORTED")                 \
    X(IKE_N_NON_FIRST_FRAGMENTS_ALSO, 16395, "NON_FIRST_FRAGMENTS_ALSO")                           \
    X(IKE_N_MOBIKE_SUPPORTED, 16396, "MOBIKE_SUPPORTED")                                           \
    X(IKE_N_ADDITIONAL_IP4_ADDRESS, 16397, "ADDITIONAL_IP4_ADDRESS")                               \
    X(IKE_N_ADDITIONAL_IP6_ADDRESS, 16398, "ADDITIONAL_IP6_ADDRESS")                               \
    X(IKE_N_NO_ADDITIONAL_ADDRESSES, 16399, "NO_ADDITIONAL_ADDRESSES")                             \
    X(IKE_N_UPDATE_SA_ADDRESSES, 16400, "UPDATE_SA_ADDRESSES")                                     \
    X(IKE_N_COOKIE2, 16401, "COOKIE2")                                                             \
    X(IKE_N_NO_NATS_ALLOWED, 16402, "NO_NATS_ALLOWED")                                             \
    X(IKE_N_AUTH_LIFETIME, 16403, "AUTH_LIFETIME")                                                 \
    X(IKE_N_MULTIPLE_AUTH_SUPPORTED, 16404, "MULTIPLE_AUTH_SUPPORTED")                             \
    X(IKE_N_ANOTHER_AUTH_FOLLOWS, 16405, "ANOTHER_AUTH_FOLLOWS")                                   \
    X(IKE_N_REDIRECT_SUPPORTED, 16406, "REDIRECT_SUPPORTED")                                       \
    X(IKE_N_REDIRECT, 16407, "REDIRECT")                                                           \
    X(IKE_N_REDIRECTED_FROM, 16408, "REDIRECTED_FROM")                                             \
    X(IKE_N_TICKET_LT_OPAQUE, 16409, "TICKET_LT_OPAQUE")                                           \
    X(IKE_N_TICKET_REQUEST, 16410, "TICKET_REQUEST")                                               \
    X(IKE_N_TICKET_ACK, 16411, "TICKET_ACK")                                                       \
    X(IKE_N_TICKET_NACK, 16412, "TICKET_NACK")                                                     \
    X(IKE_N_TICKET_OPAQUE, 16413, "TICKET_OPAQUE")                                                 \
    X(IKE_N_LINK_ID, 16414, "LINK_ID")                                                             \
    X(IKE_N_USE_WESP_MODE, 16415, "USE_WESP_MODE")                                                 \
    X(IKE_N_ROHC_SUPPORTED, 16416, "ROHC_SUPPORTED")                                               \
    X(IKE_N_EAP_ONLY_AUTHENTICATION, 16417, "EAP_ONLY_AUTHENTICATION")                             \
    X(IKE_N_CHILDLESS_IKEV2_SUPPORTED, 16418, "CHILDLESS_IKEV2_SUPPORTED")                         \
    X(IKE_N_QUICK_CRASH_DETECTION, 16419, "QUICK_CRASH_DETECTION")                                 \
    X(IKE_N_MESSAGE_ID_SYNC_SUPPORTED, 16420, "IKEV2_MESSAGE_ID_SYNC_SUPPORTED")                   \
    X(IKE_N_REPLAY_COUNTER_SYNC_SUPPORTED, 16421, "IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED")           \
    X(IKE_N_MESSAGE_ID_SYNC, 16422, "IKEV2_MESSAGE_ID_SYNC")                                       \
    X(IKE_N_REPLAY_COUNTER_SYNC, 16423, "IPSEC_REPLAY_COUNTER_SYNC")                               \
    X(IKE_N_SECURE_PASSWORD_METHODS, 16424, "SECURE_PASSWORD_METHODS")                             \
    X(IKE_N_PSK_PERSIST, 16425, "PSK_PERSIST")                                                     \
    X(IKE_N_PSK_CONFIRM, 16426, "PSK_CONFIRM")                                                     \
    X(IKE_N_ERX_SUPPORTED, 16427, "ERX_SUPPORTED")                                                 \
    X(IKE_N_IFOM_CAPABILITY, 16428, "IFOM_CAPABILITY")                                             \
    X(IKE_N_GROUP_SENDER, 16429, "GROUP_SENDER")                                                   \
    X(IKE_N_FRAGMENTATION_SUPPORTED, 16430, "IKEV2_FRAGMENTATION_SUPPORTED")                       \
    X(IKE_N_SIGNATURE_HASH_ALGORITHMS, 16431, "SIGNATURE_HASH_ALGORITHMS")                         \
    X(IKE_N_CLONE_IKE_SA_SUPPORTED, 16432, "CLONE_IKE_SA_SUPPORTED")                               \
    X(IKE_N_CLONE_IKE_SA, 16433, "CLONE_IKE_SA")                                                   \
    X(IKE_N_PUZZLE, 16434, "PUZZLE")                                                               \
    X(IKE_N_USE_PPK, 16435, "USE_PPK")                                                             \
    X(IKE_N_PPK_IDENTITY, 16436, "PPK_IDENTITY")                                                   \
    X(IKE_N_NO_PPK_AUTH, 16437, "NO_PPK_AUTH")                                                     \
    X(IKE_N_INTERMEDIATE_EXCHANGE_SUPPORTED, 16438, "INTERMEDIATE_EXCHANGE_SUPPORTED")             \
    X(IKE_N_IP4_ALLOWED, 16439, "IP4_ALLOWED")                                                     \
    X(IKE_N_IP6_ALLOWED, 16440, "IP6_ALLOWED")                                                     \
    X(IKE_N_ADDITIONAL_KEY_EXCHANGE, 16441, "ADDITIONAL_KEY_EXCHANGE")                             \
    X(IKE_N_USE_AGGFRAG, 16442, "USE_AGGFRAG")                                                     \
    X(IKE_N_SUPPORTED_AUTH_METHODS, 16443, "SUPPORTED_AUTH_METHODS")                               \
    X(IKE_N_SA_RESOURCE_INFO, 16444, "SA_RESOURCE_INFO")                                           \
    X(IKE_N_USE_PPK_INT, 16445, "USE_PPK_INT")                                                     \
    X(IKE_N_PPK_IDENTITY_KEY, 16446, "PPK_IDENTITY_KEY")                                           \
    /* Private use: docs/specs/ikev2-tcp-ao.md */                                                  \
    X(IKE_N_TCP_AO_SUPPORTED, 40969, "TCP_AO_SUPPORTED")                                           \
    X(IKE_N_TCP_AO_OPTIONS_NOT_COVERED, 40970, "TCP_AO_OPTIONS_NOT_COVERED")                       \
    X(IKE_N_TCP_AO_MAC_LENGTH, 40971, "TCP_AO_MAC_LENGTH")

/* The registries: list, enum, function that names a number (NULL: not registered). */
#define IKE_REGISTRIES(R)                                                                          \
    R(IKE_EXCHANGES, ike_exchange, ike_exchange_name)                                              \
    R(IKE_PAYLOAD_TYPES, ike_payload_type, ike_payload_name)                                       \
    R(IKE_PROTOCOLS, ike_protocol, ike_protocol_name)                                              \
    R(IKE_TRANSFORM_TYPES, ike_transform_type, ike_transform_type_name)                            \
    R(IKE_ENCRS, ike_encr, ike_encr_name)                                                          \
    R(IKE_PRFS, ike_prf, ike_prf_name)                                                             \
    R(IKE_INTEGS, ike_integ, ike_integ_name)                                                       \
    R(IKE_KES, ike_ke_method, ike_ke_name)                                                         \
    R(IKE_SNS, ike_sn, ike_sn_name)                                                                \
    R(IKE_ID_TYPES, ike_id_type, ike_id_type_name)                                                 \
    R(IKE_CERT_ENCODINGS, ike_cert_encoding, ike_cert_encoding_name)                               \
    R(IKE_AUTH_METHODS, ike_auth_method, ike_auth_method_name)                                     \
    R(IKE_HASHES, ike_hash, ike_hash_name)                                                         \
    R(IKE_TS_TYPES, ike_ts_type, ike_ts_type_name)                                                 \
    R(IKE_CP_TYPES, ike_cp_type, ike_cp_type_name)                                                 \
    R(IKE_CP_ATTRIBUTES, ike_cp_attribute_type, ike_cp_attribute_name)                             \
    R(IKE_EAP_CODES, ike_eap_code, ike_eap_code_name)                                              \
    R(IKE_NOTIFIES, ike_notify_type, ike_notify_name)

#define IKE_CODE_ENUM(constant, number, name) constant = (number),
#define IKE_REGISTRY_DECLARE(list, tag, function)                                                  \
    enum tag { list(IKE_CODE_ENUM) };                                                              \
    const char *function(unsigned number);
IKE_REGISTRIES(IKE_REGISTRY_DECLARE)
#undef IKE_REGISTRY_DECLARE

enum {
    IKE_N_STATUS = 16384, /* the first that is no error */
    IKE_ATTRIBUTE_KEY_LENGTH = 14,
    IKE_CODE_TEXT = 24
};

/* The name of a transform's number in the registry of its type; NULL: not registered. */
const char *ike_transform_name(unsigned type, unsigned number);
/* `name`, or the number in buf where there is no name. */
const char *ike_code_text(const char *name, unsigned number, char buf[IKE_CODE_TEXT]);

static inline bool ike_notify_is_error(unsigned type)
{
    return type > 0 && type < IKE_N_STATUS;
}

/* Encryption that authenticates too: it stands without a transform of type INTEG. */
bool ike_encr_is_aead(unsigned encr);
/* Type 4 or one of RFC 9370's additional ones. */
bool ike_transform_is_ke(unsigned type);

#endif

/*
 * What the SPIs that we choose say: their highest bit, whether the kernel's plane has the SA; the
 * four below it, whose process has it where it is not the kernel's. So sockets can tell whose a
 * packet is, before anybody has looked at it.
 */
#ifndef GH_PLATFORM_SPI_H
#define GH_PLATFORM_SPI_H

#include <stdint.h>

#define GH_SPI_KERNEL (UINT32_C(1) << 31)
enum {
    GH_SPI_SLOT_SHIFT = 27,
    GH_SPI_SLOTS = 16,
    /* Those below are reserved (to 255), or for keys by hand, whose process is the first slot's
     * (config/manual.h). */
    GH_SPI_DRAWN = 65536
};

/* 0 for those of the kernel's plane. */
static inline uint8_t gh_spi_slot(uint32_t spi)
{
    return (spi & GH_SPI_KERNEL) != 0 ? 0 : (uint8_t)(spi >> GH_SPI_SLOT_SHIFT);
}

#endif

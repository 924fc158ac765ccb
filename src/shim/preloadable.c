#include "shim/preloadable.h"

#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { INTERPRETERS_MAX = 5, HEAD = 4096, SEGMENTS_MAX = 128, NOTES_MAX = 1024 };

struct judgement {
    char *why;
    size_t size;
};

static bool no(const struct judgement *j, const char *because)
{
    snprintf(j->why, j->size, "%s", because);
    return false;
}

/* What a file's head tells of an ELF program. */
struct image {
    unsigned char class, data;
    uint16_t machine;
    bool interpreted; /* by the dynamic loader */
    bool musl;
    bool go;
};

static bool read_at(int fd, void *to, size_t len, uint64_t offset)
{
    return pread(fd, to, len, (off_t)offset) == (ssize_t)len;
}

/* Is the note that Go's linker writes among these? */
static bool has_go_note(const char *notes, size_t size)
{
    uint32_t head[3]; /* sizes of name and content, type: in the order of this machine's octets */

    for (size_t at = 0; size - at >= sizeof head + 4; at += sizeof head) {
        memcpy(head, notes + at, sizeof head);
        if (head[0] == 4 && memcmp(notes + at + sizeof head, "Go\0", 4) == 0)
            return true;
        if (head[0] > size || head[1] > size)
            return false;
        at += ((size_t)head[0] + 3) / 4 * 4 + ((size_t)head[1] + 3) / 4 * 4;
        if (at + sizeof head > size)
            return false;
    }
    return false;
}

static void look_at_segment(int fd, struct image *image, uint32_t type, uint64_t offset,
                            uint64_t size)
{
    char text[NOTES_MAX] = {0};

    if (size >= sizeof text)
        size = sizeof text - 1;
    if ((type != PT_INTERP && type != PT_NOTE) || !read_at(fd, text, size, offset))
        return;
    if (type == PT_INTERP) {
        image->interpreted = true;
        image->musl = strstr(text, "ld-musl") != NULL;
    } else {
        image->go |= has_go_note(text, size);
    }
}

/* What cannot be read the kernel will not run either. */
static void look_at_segments(int fd, const Elf64_Ehdr *e, struct image *image)
{
    Elf64_Phdr segment;

    for (unsigned i = 0; i < e->e_phnum && i < SEGMENTS_MAX; i++)
        if (read_at(fd, &segment, sizeof segment, e->e_phoff + (uint64_t)i * e->e_phentsize))
            look_at_segment(fd, image, segment.p_type, segment.p_offset, segment.p_filesz);
}

static void look_at_segments_32(int fd, const Elf32_Ehdr *e, struct image *image)
{
    Elf32_Phdr segment;

    for (unsigned i = 0; i < e->e_phnum && i < SEGMENTS_MAX; i++)
        if (read_at(fd, &segment, sizeof segment, e->e_phoff + (uint64_t)i * e->e_phentsize))
            look_at_segment(fd, image, segment.p_type, segment.p_offset, segment.p_filesz);
}

/* False: not an ELF file. */
static bool read_image(int fd, struct image *image)
{
    union {
        unsigned char ident[EI_NIDENT];
        Elf32_Ehdr e32;
        Elf64_Ehdr e64;
    } head = {0};
    ssize_t got = pread(fd, &head, sizeof head, 0);

    if (got < (ssize_t)sizeof head.e32 || memcmp(head.ident, ELFMAG, SELFMAG) != 0)
        return false;
    *image = (struct image){.class = head.ident[EI_CLASS],
                            .data = head.ident[EI_DATA],
                            .machine = head.e64.e_machine}; /* at the same place in both */
    if (image->class == ELFCLASS64)
        look_at_segments(fd, &head.e64, image);
    else
        look_at_segments_32(fd, &head.e32, image);
    return true;
}

/* The loader ignores LD_PRELOAD where the program gets rights that its caller does not have. */
static bool gains_rights(int fd)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return false;
    if (st.st_mode & S_ISUID && st.st_uid != getuid())
        return true;
    if (st.st_mode & S_ISGID && st.st_mode & S_IXGRP && st.st_gid != getgid())
        return true;
    return getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0;
}

static bool judge_image(const struct image *program, const struct image *library,
                        const struct judgement *j)
{
    if (program->class != library->class || program->data != library->data ||
        program->machine != library->machine)
        return no(j, "is for another architecture than the preload library");
    if (program->go)
        return no(j, "is a Go program, which calls the kernel without the C library");
    if (!program->interpreted)
        return no(j, "is statically linked");
    if (program->musl)
        return no(j, "uses another C library than the preload library");
    return true;
}

/* "#! /usr/bin/env python3\n": its first word replaces path. */
static bool interpreter_of(int fd, char path[HEAD])
{
    char head[HEAD];
    ssize_t got = pread(fd, head, sizeof head - 1, 0);
    char *start;

    if (got < 3 || head[0] != '#' || head[1] != '!')
        return false;
    head[got] = '\0';
    start = head + 2 + strspn(head + 2, " \t");
    start[strcspn(start, " \t\n")] = '\0';
    memcpy(path, start, strlen(start) + 1);
    return *path != '\0';
}

bool gh_preloadable(const char *program, const char *library, char *why, size_t why_size)
{
    const struct judgement j = {.why = why, .size = why_size};
    struct image wanted, found;
    char path[HEAD];
    int fd = open(library, O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && read_image(fd, &wanted);

    if (fd >= 0)
        close(fd);
    if (!good)
        return no(&j, "cannot be started with it: the preload library is not a library");
    if (strlen(program) >= sizeof path)
        return no(&j, "has too long a name");
    memcpy(path, program, strlen(program) + 1);
    for (int depth = 0; depth < INTERPRETERS_MAX; depth++) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) /* execve() may be allowed what reading is not, or says why not */
            return no(&j, depth == 0 ? "cannot be read" : "has an interpreter that cannot be read");
        if (gains_rights(fd))
            good = no(&j, "is setuid, setgid or has file capabilities: the loader preloads nothing "
                          "into it");
        else if (read_image(fd, &found))
            good = judge_image(&found, &wanted, &j);
        else if (interpreter_of(fd, path)) {
            close(fd);
            continue;
        } else
            good = true; /* a shell script without #!, or execve() refuses it */
        close(fd);
        return good;
    }
    return no(&j, "has an interpreter that has an interpreter, and so on");
}

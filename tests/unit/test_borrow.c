/* Sockets of other processes: found by their inode, told by their cookie, taken from a child. */
#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/borrow.h"

static void links(void **state)
{
    assert_int_equal(gh_borrow_inode("socket:[123]"), 123);
    assert_true(gh_borrow_inode("socket:[18446744073709551615]") == UINT64_MAX);
    assert_int_equal(gh_borrow_inode("socket:[18446744073709551616]"), 0);
    assert_int_equal(gh_borrow_inode("socket:[12x]"), 0);
    assert_int_equal(gh_borrow_inode("socket:[-1]"), 0);
    assert_int_equal(gh_borrow_inode("socket:[]"), 0);
    assert_int_equal(gh_borrow_inode("socket:[12"), 0);
    assert_int_equal(gh_borrow_inode("pipe:[12]"), 0);
    assert_int_equal(gh_borrow_inode(""), 0);
}

struct held {
    pid_t pid;
    uint64_t cookie, inode;
};

/* A child that has a socket which this process has not. */
static struct held held_by_a_child(int type)
{
    struct held h;
    int pair[2];

    assert_int_equal(pipe(pair), 0);
    h.pid = fork();
    assert_true(h.pid >= 0);
    if (h.pid == 0) {
        int fd = socket(AF_INET, type, 0);
        socklen_t len = sizeof(h.cookie);
        struct stat st;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        getsockopt(fd, SOL_SOCKET, SO_COOKIE, &h.cookie, &len);
        fstat(fd, &st);
        h.inode = st.st_ino;
        (void)!write(pair[1], &h, sizeof(h));
        for (;;)
            pause();
    }
    close(pair[1]);
    struct held told;

    assert_int_equal(read(pair[0], &told, sizeof(told)), sizeof(told));
    close(pair[0]);
    told.pid = h.pid;
    return told;
}

static void end(const struct held *h)
{
    kill(h->pid, SIGKILL);
    waitpid(h->pid, NULL, 0);
}

static void expect_borrowed(int fd, const struct held *h)
{
    struct stat st;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_ino, h->inode);
    close(fd);
}

static void a_socket_of_a_child(void **state)
{
    struct held h = held_by_a_child(SOCK_STREAM);
    struct gh_borrower b = {.next = 0};

    expect_borrowed(gh_borrow_socket(&b, (uint32_t)h.pid, h.cookie, h.inode), &h);
    assert_int_equal(b.known[0].asked, 0); /* nothing to remember */
    /* Asked of the parent, which has passed it to its child. */
    expect_borrowed(gh_borrow_socket(&b, (uint32_t)getpid(), h.cookie, h.inode), &h);
    assert_int_equal(b.known[0].asked, getpid());
    assert_int_equal(b.known[0].holder, h.pid);
    expect_borrowed(gh_borrow_socket(&b, (uint32_t)getpid(), h.cookie, h.inode), &h);
    /* Of a process that has nothing to do with it: found among all. */
    expect_borrowed(gh_borrow_socket(&b, (uint32_t)getppid(), h.cookie, h.inode), &h);
    end(&h);
    assert_int_equal(gh_borrow_socket(&b, (uint32_t)h.pid, h.cookie, h.inode), -ENOENT);
}

static void another_cookie_is_another_socket(void **state)
{
    struct held h = held_by_a_child(SOCK_STREAM);
    struct gh_borrower b = {.next = 0};

    assert_int_equal(gh_borrow_socket(&b, (uint32_t)h.pid, h.cookie + 1, h.inode), -ESTALE);
    assert_int_equal(gh_borrow_socket(&b, 0, h.cookie, h.inode), -EINVAL);
    end(&h);
}

static void no_tcp_socket(void **state)
{
    struct held h = held_by_a_child(SOCK_DGRAM);
    struct gh_borrower b = {.next = 0};

    assert_int_equal(gh_borrow_socket(&b, (uint32_t)h.pid, h.cookie, h.inode), -ESTALE);
    end(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links),
        cmocka_unit_test(a_socket_of_a_child),
        cmocka_unit_test(another_cookie_is_another_socket),
        cmocka_unit_test(no_tcp_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Debian's adbd binds every interface, with authentication compiled off. Preloaded, this makes it
 * bind the loopback interface alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

int bind(int fd, const struct sockaddr *address, socklen_t length) {
  int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
  if (address->sa_family == AF_INET6) {
    static const unsigned char mapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
    struct sockaddr_in6 loopback = *(const struct sockaddr_in6 *)address;
    memcpy(&loopback.sin6_addr, mapped, sizeof mapped);
    return real(fd, (const struct sockaddr *)&loopback, sizeof loopback);
  }
  if (address->sa_family == AF_INET) {
    struct sockaddr_in loopback = *(const struct sockaddr_in *)address;
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return real(fd, (const struct sockaddr *)&loopback, sizeof loopback);
  }
  return real(fd, address, length);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stands in for libpcap where the program is linked: the real one is loaded when a filter is compiled. So the program
 * runs, without -f, on hosts that have no libpcap, and is built without its headers.
 *
 * Types and functions as in pcap(3PCAP). Only what compiling a filter needs is here.
 */
#include <dlfcn.h>
#include <stddef.h>

typedef struct pcap pcap_t;
struct bpf_program;

static struct {
	pcap_t *(*open_dead)(int linktype, int snaplen);
	int (*compile)(pcap_t *pcap, struct bpf_program *program, const char *text, int optimize, unsigned int netmask);
	char *(*geterr)(pcap_t *pcap);
	void (*freecode)(struct bpf_program *program);
	void (*close)(pcap_t *pcap);
} real;

/* Debian and Ubuntu number the library after its oldest compatible version, everybody else after its first. */
static void *open_library(void)
{
	void *library = dlopen("libpcap.so.0.8", RTLD_NOW | RTLD_LOCAL);

	return library ? library : dlopen("libpcap.so.1", RTLD_NOW | RTLD_LOCAL);
}

/* POSIX has function pointers go through an object pointer. */
static int find(void *library, const char *name, void *function)
{
	*(void **)function = dlsym(library, name);
	return *(void **)function != NULL;
}

/* Stays loaded. Two threads that come here at once write the same. */
static int load(void)
{
	void *library = open_library();

	return library && find(library, "pcap_compile", &real.compile) && find(library, "pcap_geterr", &real.geterr) &&
	       find(library, "pcap_freecode", &real.freecode) && find(library, "pcap_close", &real.close) &&
	       find(library, "pcap_open_dead", &real.open_dead);
}

/* NULL where there is no libpcap. Every other function is called with what this one returned. */
pcap_t *pcap_open_dead(int linktype, int snaplen)
{
	return load() ? real.open_dead(linktype, snaplen) : NULL;
}

int pcap_compile(pcap_t *pcap, struct bpf_program *program, const char *text, int optimize, unsigned int netmask)
{
	return real.compile(pcap, program, text, optimize, netmask);
}

char *pcap_geterr(pcap_t *pcap)
{
	return real.geterr(pcap);
}

void pcap_freecode(struct bpf_program *program)
{
	real.freecode(program);
}

void pcap_close(pcap_t *pcap)
{
	real.close(pcap);
}

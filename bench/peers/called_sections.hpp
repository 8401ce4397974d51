#ifndef BENCH_PEERS_CALLED_SECTIONS_HPP
#define BENCH_PEERS_CALLED_SECTIONS_HPP

/** Sections of peers whose sections are inlined, as calls into a shared library: that is how ours
 *  are reached, and how theirs would be behind an interface. And calls of which nothing comes, the
 *  floor of all that are called so. */

extern "C" {
void bench_ck_enter(void *record);
void bench_ck_exit(void *record);
void bench_memb_enter(void);
void bench_memb_exit(void);
void bench_nothing_enter(void *record);
void bench_nothing_exit(void *record);
}

#endif

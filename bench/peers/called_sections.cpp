#include "peers/called_sections.hpp"

#include "peers/ck_tables.hpp"
#include "peers/urcu_flavors.hpp"

#define BENCH_CALLED extern "C" __attribute__((visibility("default")))

BENCH_CALLED void bench_ck_enter(void *record)
{
    ck_epoch_begin(static_cast<ck_epoch_record_t *>(record), nullptr);
}

BENCH_CALLED void bench_ck_exit(void *record)
{
    ck_epoch_end(static_cast<ck_epoch_record_t *>(record), nullptr);
}

BENCH_CALLED void bench_memb_enter()
{
    urcu_memb_read_lock();
}

BENCH_CALLED void bench_memb_exit()
{
    urcu_memb_read_unlock();
}

BENCH_CALLED void bench_nothing_enter(void *)
{
    asm volatile("");
}

BENCH_CALLED void bench_nothing_exit(void *)
{
    asm volatile("");
}

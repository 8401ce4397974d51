#ifndef BENCH_PEERS_URCU_FLAVORS_HPP
#define BENCH_PEERS_URCU_FLAVORS_HPP

#define _LGPL_SOURCE /* the inlined forms */
#include <urcu/urcu-memb.h>
#include <urcu/urcu-qsbr.h>

/* The headers of two flavours do not go together well: the second one's is not declared. */
extern "C" {
extern const struct rcu_flavor_struct urcu_qsbr_flavor;
}

namespace bench
{

struct UrcuMemb {
    static constexpr const char *kName = "liburcu memb";
    static constexpr const char *kTableName = "liburcu cds_lfht, memb";
    static const rcu_flavor_struct *flavor()
    {
        return &urcu_memb_flavor;
    }
    static void register_thread()
    {
        urcu_memb_register_thread();
    }
    static void unregister_thread()
    {
        urcu_memb_unregister_thread();
    }
    static void enter()
    {
        urcu_memb_read_lock();
    }
    static void exit()
    {
        urcu_memb_read_unlock();
    }
    static void synchronize()
    {
        urcu_memb_synchronize_rcu();
    }
};

/** Its sections are free; in exchange each thread says once in a while that it is in none. Here it
 *  does at the end of each section. */
struct UrcuQsbr {
    static constexpr const char *kName = "liburcu qsbr";
    static constexpr const char *kTableName = "liburcu cds_lfht, qsbr";
    static const rcu_flavor_struct *flavor()
    {
        return &urcu_qsbr_flavor;
    }
    static void register_thread()
    {
        urcu_qsbr_register_thread();
    }
    static void unregister_thread()
    {
        urcu_qsbr_unregister_thread();
    }
    static void enter()
    {
        urcu_qsbr_read_lock();
    }
    static void exit()
    {
        urcu_qsbr_read_unlock();
        urcu_qsbr_quiescent_state();
    }
    static void synchronize()
    {
        urcu_qsbr_synchronize_rcu();
    }
};

} // namespace bench

#endif

#include <string>
#include <vector>

#include "harness/contest.hpp"
#include "harness/resident.hpp"
#include "harness/store_ours.hpp"
#include "harness/store_runs.hpp"
#include "peers/ck_tables.hpp"
#include "peers/concurrent_maps.hpp"
#include "peers/dpdk_hash.hpp"
#include "peers/plain_table.hpp"
#include "peers/urcu_lfht.hpp"

/** The partition store against concurrent hash tables: 128-bit keys to objects of one line, tables
 *  made for the number of entries, keys in random order, nanoseconds an operation. */

namespace bench
{
namespace
{

constexpr std::size_t kSizes[] = {1024, 65536, 4194304};
const char *const kSizeNames[] = {"1 Ki", "64 Ki", "4 Mi"};

/** The contestants of one kind of test: `run.template operator()<Map>(count)` makes a sample. */
template <class Run> class Maps
{
  public:
    explicit Maps(const Run &run) : run_(run)
    {
    }
    template <class Map> Maps &add(Role role)
    {
        const Run run = run_;
        table_.push_back({Map::kName, role, [run](std::uint64_t count) {
                              return run.template operator()<Map>(count);
                          }});
        return *this;
    }
    /** Any number of writers. */
    Maps &lock_free()
    {
        return add<FletchStore>(Role::kOurs)
            .template add<UrcuLfht<UrcuMemb>>(Role::kPeer)
            .template add<UrcuLfht<UrcuQsbr>>(Role::kPeer);
    }
    /** Lock-free for readers, and one writer at a time. */
    Maps &single_writer(Role role)
    {
        return add<CkSet<CkHs>>(role)
            .template add<CkSet<CkRhs>>(role)
            .template add<CkHt>(role)
            .template add<DpdkHash>(role);
    }
    Maps &locking(Role role)
    {
        return add<TbbHashMap>(role).template add<LibcuckooMap>(role).template add<XeniumHashMap>(
            role);
    }
    Maps &before()
    {
        return add<MutexTable>(Role::kBefore)
            .template add<StripedTable>(Role::kReference)
            .template add<RwLockTable>(Role::kReference);
    }
    Maps &floor()
    {
        return add<OneThreadFloor>(Role::kReference);
    }
    std::vector<Contestant> take()
    {
        return std::move(table_);
    }

  private:
    Run run_;
    std::vector<Contestant> table_;
};

struct Views {
    StorePlan plan;
    template <class Map> Sample operator()(std::uint64_t count) const
    {
        return run_views<Map>(plan, count);
    }
};

struct Gets {
    std::size_t entries;
    template <class Map> Sample operator()(std::uint64_t count) const
    {
        return run_gets<Map>(entries, count);
    }
};

struct Many {
    std::size_t entries;
    bool with_references;
    template <class Map> Sample operator()(std::uint64_t count) const
    {
        return run_many<Map>(entries, with_references, count);
    }
};

struct Writes {
    std::size_t entries;
    unsigned writers;
    template <class Map> Sample operator()(std::uint64_t count) const
    {
        return run_writes<Map>(entries, writers, count);
    }
};

Case case_of(const std::string &what, std::size_t size, std::vector<Metric> metrics,
             std::vector<Contestant> contestants)
{
    Case out = {what + ", " + kSizeNames[size] + " entries", std::move(metrics),
                std::move(contestants)};
    out.items_max = 4000000;
    return out;
}

Metric ns(double goal, double limit = kNone)
{
    return metric(kNs, "ns", goal, limit);
}

Case views(const std::string &what, std::size_t size, StorePlan plan, double goal, double limit)
{
    plan.entries = kSizes[size];
    Maps<Views> maps(Views{plan});
    maps.lock_free().single_writer(Role::kPeer).locking(Role::kPeer).before();
    if (plan.readers == 1 && !plan.writer)
        maps.floor();
    std::vector<Metric> metrics = {ns(goal, limit)};
    if (plan.writer)
        metrics.push_back(metric(kNs, "writer_ns", kNone));
    Case out = case_of(what, size, metrics, maps.take());
    if (plan.readers == 2)
        out.before_goal = 5.0;
    return out;
}

Case writes(std::size_t size, unsigned writers)
{
    Maps<Writes> maps(Writes{kSizes[size], writers});
    maps.lock_free();
    if (writers == 1)
        maps.single_writer(Role::kReference).floor();
    maps.locking(Role::kReference).before();
    const double limit = size == 1 && writers == 1 ? 100 : kNone;
    Case out = case_of(writers == 1 ? "one writer" : "two writers", size,
                       {metric(kNs, "insert_ns", 1.0, limit), metric(kNs, "replace_ns", 1.0),
                        metric(kNs, "remove_ns", 1.0)},
                       maps.take());
    out.items_max = 1000000;
    return out;
}

/** Bytes for each entry beside the payload, in place of a time: by the store's own count, and by
 *  what the process became larger, in a child that does nothing else. */
Sample run_memory(std::uint64_t)
{
    constexpr std::size_t kEntries = 1048576;
    Sample sample;
    const auto figures = in_child<2>([](double *out) {
        const double before = resident_bytes();
        FletchStore &store = filled_map<FletchStore>(kEntries);
        const double grown = resident_bytes() - before;
        out[0] = store.bytes_per_entry();
        out[1] = grown / kEntries - FletchStore::kPayloadBytes;
    });
    for (std::size_t k = 0; k < 2; ++k)
        sample.values[k] = figures[k];
    sample.seconds = 1;
    sample.right = figures[0] > 0 && figures[1] > 0;
    return sample;
}

Case memory()
{
    return {"memory, 1 Mi entries, table and header",
            {metric(kNs, "bytes_per_entry", kNone, 64), metric(kNs, "resident_bytes", kNone, 64)},
            {{FletchStore::kName, Role::kOurs, run_memory}}};
}

std::vector<Case> make_cases()
{
    std::vector<Case> cases = {memory()}; /* first, while the process is small */
    constexpr double kHit[] = {1.25, 1.25, 1.15}, kTwo[] = {1.4, 1.4, 1.25},
                     kBeside[] = {1.25, 1.3, 1.05}, kMany[] = {1.0, 1.0, 1.3};
    for (std::size_t size = 0; size < 3; ++size) {
        StorePlan plan = {kSizes[size]};
        cases.push_back(views("view, hit", size, plan, kHit[size], size == 0 ? 30 : kNone));
        plan.slot = 1;
        cases.push_back(views("view, miss", size, plan, 1.0, kNone));
        plan.slot = 0;
        plan.readers = 2;
        cases.push_back(views("view, hit, two readers", size, plan, kTwo[size], kNone));
        plan.readers = 1;
        plan.writer = true;
        cases.push_back(views("view beside a writer", size, plan, kBeside[size], kNone));
        cases.push_back(case_of("get and release", size, {ns(1.0)},
                                Maps<Gets>(Gets{kSizes[size]})
                                    .lock_free()
                                    .single_writer(Role::kPeer)
                                    .locking(Role::kPeer)
                                    .before()
                                    .take()));
        for (const bool with_references : {false, true}) {
            Maps<Many> maps(Many{kSizes[size], with_references});
            maps.lock_free().single_writer(Role::kPeer).locking(Role::kPeer);
            if (!with_references)
                maps.floor();
            cases.push_back(
                case_of(with_references ? "get_many of 16 and release" : "view_many of 16", size,
                        {ns(kMany[size])}, maps.take()));
        }
        cases.push_back(writes(size, 1));
        cases.push_back(writes(size, 2));
    }
    return cases;
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    return bench::run_program(argc, argv, "bench_partition_store", BENCH_PEER_VERSIONS,
                              bench::make_cases);
}

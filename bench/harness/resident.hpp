#ifndef BENCH_HARNESS_RESIDENT_HPP
#define BENCH_HARNESS_RESIDENT_HPP

#include <array>
#include <cstdio>

#include <sys/wait.h>
#include <unistd.h>

/** How much memory something takes, as the system sees it. */

namespace bench
{

/** Of this process; 0: not known. */
inline double resident_bytes()
{
    unsigned long total = 0, resident = 0;
    std::FILE *file = std::fopen("/proc/self/statm", "r");
    if (file == nullptr)
        return 0;
    const int read = std::fscanf(file, "%lu %lu", &total, &resident);
    std::fclose(file);
    return read == 2 ? static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE))
                     : 0;
}

/** What `work` writes, in a process of its own, so that no memory is in use again. Zeros: it
 *  failed. To be called while the process has one thread. */
template <std::size_t kCount, class Work> std::array<double, kCount> in_child(const Work &work)
{
    std::array<double, kCount> figures = {};
    int ends[2];
    if (pipe(ends) != 0)
        return figures;
    const pid_t child = fork();
    if (child == 0) {
        work(figures.data());
        const bool written = write(ends[1], figures.data(), sizeof figures) == sizeof figures;
        _exit(written ? 0 : 1);
    }
    close(ends[1]);
    if (child < 0 || read(ends[0], figures.data(), sizeof figures) != sizeof figures)
        figures = {};
    close(ends[0]);
    if (child > 0)
        waitpid(child, nullptr, 0);
    return figures;
}

} // namespace bench

#endif

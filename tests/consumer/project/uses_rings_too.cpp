#include <fletching/fletching.h>

#include <cstdint>
#include <iostream>
#include <memory>

namespace
{

struct Destroy {
    void operator()(fletch_spsc_ring *ring) const
    {
        fletch_spsc_ring_destroy(ring, nullptr, nullptr);
    }
};

std::unique_ptr<fletch_spsc_ring, Destroy> make_ring()
{
    fletch_spsc_ring_options options = {};
    options.struct_size = sizeof options;
    options.element_bytes = sizeof(std::uint64_t);
    options.capacity = 4;
    fletch_spsc_ring *ring = nullptr;
    fletch_error error = {};
    if (fletch_spsc_ring_create(&options, nullptr, &ring, &error) != FLETCH_OK)
        std::cerr << fletch_status_name(error.status) << ": " << error.message << '\n';
    return std::unique_ptr<fletch_spsc_ring, Destroy>(ring);
}

} // namespace

int main()
{
    auto ring = make_ring();
    std::uint64_t element = 7;
    if (!ring || fletch_spsc_ring_try_push(ring.get(), &element) != FLETCH_DONE)
        return 1;
    element = 0;
    if (fletch_spsc_ring_try_pop(ring.get(), &element) != FLETCH_DONE || element != 7)
        return 1;
    std::cout << "fletching " << fletch_version() << " from C++\n";
}

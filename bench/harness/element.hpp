#ifndef BENCH_HARNESS_ELEMENT_HPP
#define BENCH_HARNESS_ELEMENT_HPP

#include <cstddef>
#include <cstdint>

namespace bench
{

/** What is moved, by value. Of 24 bytes: hash, partition, pointer. Each one carries its producer
 *  and its place in that producer's order, so that the consumer can check all that it gets. */
template <std::size_t kBytes> struct Element {
    static_assert(kBytes == 8 || (kBytes >= 24 && kBytes % 8 == 0), "8, or 24 and more in words");
    static constexpr std::size_t kWords = kBytes / 8;
    std::uint64_t words[kWords];
};

inline constexpr std::uint64_t kSalt = 0x9e3779b97f4a7c15u;
inline constexpr unsigned kProducersMax = 16;

/** Changes what differs from one element of a producer to the next; write() came before. */
template <std::size_t kBytes>
inline void stamp(Element<kBytes> &element, unsigned producer, std::uint64_t sequence)
{
    if constexpr (kBytes == 8) {
        element.words[0] = (std::uint64_t{producer} << 56) | (sequence + 1); /* never zero */
    } else {
        element.words[0] = sequence;
        element.words[Element<kBytes>::kWords - 1] = sequence ^ kSalt;
    }
}

/** Writes every word. */
template <std::size_t kBytes>
inline void write(Element<kBytes> &element, unsigned producer, std::uint64_t sequence)
{
    if constexpr (kBytes > 8) {
        element.words[1] = producer;
        for (std::size_t i = 2; i + 1 < Element<kBytes>::kWords; ++i)
            element.words[i] = i;
    }
    stamp(element, producer, sequence);
}

/** Checks what a consumer sees: every word, each producer's order, and in the end the counts. */
template <std::size_t kBytes, bool kSingleProducer> class Checker
{
  public:
    void see(const Element<kBytes> &element)
    {
        constexpr std::size_t last = Element<kBytes>::kWords - 1;
        const std::uint64_t first = element.words[0];
        if constexpr (kBytes == 8) {
            std::uint64_t &next = next_[kSingleProducer ? 0 : (first >> 56) % kProducersMax];
            wrong_ |= (first & ((std::uint64_t{1} << 56) - 1)) ^ ++next;
        } else {
            std::uint64_t &next = next_[kSingleProducer ? 0 : element.words[1] % kProducersMax];
            std::uint64_t filling = 0;
            for (std::size_t i = 2; i < last; ++i)
                filling += element.words[i] ^ i;
            wrong_ |= (first ^ next) | (element.words[last] ^ next ^ kSalt) | filling;
            wrong_ |= kSingleProducer ? element.words[1] : element.words[1] / kProducersMax;
            ++next;
        }
    }

    bool right(unsigned producers, std::uint64_t count_each) const
    {
        for (unsigned i = 0; i < producers; ++i) {
            if (next_[i] != count_each)
                return false;
        }
        return wrong_ == 0;
    }

  private:
    std::uint64_t next_[kSingleProducer ? 1 : kProducersMax] = {};
    std::uint64_t wrong_ = 0;
};

} // namespace bench

#endif

#pragma once

#include "hdap/core/error.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace hdap::parallel {

/// An error that every rank throws together, after they agreed on it. So the program can end in
/// order, with one message from the root, where any other exception must end the job by MPI_Abort.
struct AgreedError : core::Error {
    using core::Error::Error;
};

/// Initialises MPI for the life of the object. Make one, at the beginning of main.
class MpiEnvironment {
  public:
    /// A singleton (started without mpirun or srun) keeps the cores that it was given: Open MPI
    /// may bind such a process to one core, which is undone here.
    MpiEnvironment(int& argc, char**& argv);
    ~MpiEnvironment();
    MpiEnvironment(const MpiEnvironment&) = delete;
    MpiEnvironment& operator=(const MpiEnvironment&) = delete;
};

/// Ends all ranks at once with `exit_code`; for errors that the ranks cannot agree on.
[[noreturn]] void abort_all_ranks(int exit_code);

/// A short message between two ranks.
struct Message {
    int source = 0;
    int tag = 0;
    std::vector<std::byte> bytes;
};

/// All ranks of the job. Copies share the MPI communicator. Collective members must be called by
/// every rank, in the same order, from the main thread.
class Communicator {
  public:
    /// A duplicate of MPI_COMM_WORLD. Collective.
    static Communicator world();

    [[nodiscard]] int rank() const noexcept { return rank_; }
    [[nodiscard]] int size() const noexcept { return size_; }
    [[nodiscard]] bool is_root() const noexcept { return rank_ == 0; }

    /// Every rank gets the root's values, in place: they are in the memory of a rank once.
    /// Collective.
    template <class T>
    void broadcast(std::vector<T>& values) const requires(std::is_trivially_copyable_v<T>) {
        values.resize(broadcast_count(values.size()));
        broadcast_bytes(std::as_writable_bytes(std::span(values)));
    }

    /// Every rank gets all ranks' values, concatenated in the order of the ranks. Collective.
    [[nodiscard]] std::vector<double> all_gather(std::span<const double> mine) const;

    /// The same for values of any kind; up to 2^31 of them. Collective.
    template <class T>
    [[nodiscard]] std::vector<T> all_gather(const std::vector<T>& mine) const
        requires(std::is_trivially_copyable_v<T>) {
        const Gathered parts = gathered(mine.size());
        std::vector<T> all(parts.total);
        all_gather_items(parts, sizeof(T), mine.data(), all.data());
        return all;
    }

    /// Adds `items` vectors of total.size() numbers each, in their order, so that the bits of the
    /// sum do not depend on the number of ranks. `mine`: this rank's share of them, by partition().
    /// Every rank gets the sum. Collective. A rank sends and receives about
    /// (items / ranks + 1) · total.size() numbers.
    void sum_in_order(std::size_t items, std::span<const float> mine, std::span<float> total) const;

    /// Whether any rank says `mine`. Collective.
    [[nodiscard]] bool any(bool mine) const;

    /// Runs `work` on the root. When it throws a core::Error, every rank throws an AgreedError of
    /// the same kind and message. Collective.
    void on_root(const std::function<void()>& work) const;

    /// Runs `work` on every rank. When it throws on some, every rank throws the AgreedError of the
    /// lowest of them. Collective.
    void on_every_rank(const std::function<void()>& work) const;

    /// Sends a short message; returns when `bytes` may be changed.
    void send(int destination, int tag, std::span<const std::byte> bytes) const;

    /// The next message that has arrived from anyone, if any. Does not wait.
    [[nodiscard]] bool try_receive(Message& message) const;

    /// Ranks on this node, and one text from each of them, in the order of the ranks. Collective.
    struct Node {
        int rank = 0;
        int size = 1;
    };
    [[nodiscard]] Node node() const;
    /// The root gets one text from every rank. Collective.
    [[nodiscard]] std::vector<std::string> gather_texts(const std::string& mine) const;

  private:
    struct Handle;
    /// How many values each rank has, and where they lie among all.
    struct Gathered {
        std::vector<int> counts;
        std::vector<int> offsets;
        std::size_t total = 0;
    };
    [[nodiscard]] Gathered gathered(std::size_t mine) const;
    void all_gather_items(const Gathered& parts, std::size_t item_bytes, const void* mine,
                          void* all) const;
    [[nodiscard]] std::size_t broadcast_count(std::size_t count) const;
    /// Of as many bytes on every rank.
    void broadcast_bytes(std::span<std::byte> bytes) const;
    explicit Communicator(std::shared_ptr<Handle> handle);
    std::shared_ptr<Handle> handle_;
    int rank_ = 0;
    int size_ = 1;
};

/// Half-open range of indices.
struct IndexRange {
    std::size_t first = 0;
    std::size_t last = 0;
    [[nodiscard]] std::size_t size() const noexcept { return last - first; }
};

/// The share of rank `rank` when `count` items are cut into `ranks` contiguous parts whose sizes
/// differ by one at most.
IndexRange partition(std::size_t count, int ranks, int rank) noexcept;

} // namespace hdap::parallel

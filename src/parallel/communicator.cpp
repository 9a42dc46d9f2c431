#include "hdap/parallel/communicator.hpp"

#include "hdap/core/check.hpp"
#include "hdap/core/environment.hpp"
#include "hdap/parallel/launch.hpp"

#include <climits>
#include <fmt/core.h>
#include <mpi.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <new>
#include <numeric>
#include <optional>
#include <sched.h>

namespace hdap::parallel {
namespace {

void check(int status, const char* call) {
    if (status == MPI_SUCCESS) return;
    std::array<char, MPI_MAX_ERROR_STRING> text{};
    int length = 0;
    MPI_Error_string(status, text.data(), &length);
    throw core::InternalError(fmt::format(
        "{} failed: {}", call, std::string(text.data(), static_cast<std::size_t>(length))));
}

/// What a rank tells the others about its work.
struct Failure {
    core::ErrorKind kind = core::ErrorKind::internal;
    std::string message;
};

std::optional<Failure> run_caught(const std::function<void()>& work) {
    try {
        work();
        return std::nullopt;
    } catch (const core::Error& error) {
        return Failure{error.kind(), error.what()};
    } catch (const std::bad_alloc&) {
        return Failure{core::ErrorKind::internal, "out of memory"};
    } catch (const std::exception& error) {
        return Failure{core::ErrorKind::internal, error.what()};
    }
}

/// Broadcasts `source`'s failure and throws it on every rank.
[[noreturn]] void throw_agreed(MPI_Comm comm, int source, const std::optional<Failure>& mine) {
    std::array<int, 2> header{};
    if (mine) header = {static_cast<int>(mine->kind), static_cast<int>(mine->message.size())};
    check(MPI_Bcast(header.data(), 2, MPI_INT, source, comm), "MPI_Bcast");
    std::string message = mine ? mine->message : std::string();
    message.resize(static_cast<std::size_t>(header[1]));
    check(MPI_Bcast(message.data(), header[1], MPI_CHAR, source, comm), "MPI_Bcast");
    throw AgreedError(static_cast<core::ErrorKind>(header[0]), message);
}

} // namespace

MpiEnvironment::MpiEnvironment(int& argc, char**& argv) {
    cpu_set_t given;
    const bool known = sched_getaffinity(0, sizeof given, &given) == 0;
    // Open MPI starts a daemon beside a singleton, for processes that it may spawn. We spawn none,
    // and without it a singleton starts in half the time.
    if (is_certainly_alone()) {
        // The one rank needs no launcher, which may know of another process as its rank already:
        // an MPI program that started this one, or one that a shell ran before.
        core::forget_launcher();
        ::setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
    }
    int provided = MPI_THREAD_SINGLE;
    check(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
    if (provided < MPI_THREAD_FUNNELED)
        throw core::InternalError("this MPI library does not support threads "
                                  "(MPI_THREAD_FUNNELED)");
    int size = 1;
    check(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size");
    if (size == 1 && known) sched_setaffinity(0, sizeof given, &given);
}

MpiEnvironment::~MpiEnvironment() {
    // All ranks end together. A launcher that sees the first of them end with an error's exit code
    // sends the others SIGTERM, which must not change theirs: srun's own depends on it.
    std::signal(SIGTERM, SIG_IGN);
    MPI_Finalize();
}

void abort_all_ranks(int exit_code) {
    MPI_Abort(MPI_COMM_WORLD, exit_code);
    std::abort();
}

struct Communicator::Handle {
    MPI_Comm comm = MPI_COMM_NULL;
    Handle() { check(MPI_Comm_dup(MPI_COMM_WORLD, &comm), "MPI_Comm_dup"); }
    ~Handle() { MPI_Comm_free(&comm); }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
};

Communicator::Communicator(std::shared_ptr<Handle> handle) : handle_(std::move(handle)) {
    check(MPI_Comm_set_errhandler(handle_->comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check(MPI_Comm_rank(handle_->comm, &rank_), "MPI_Comm_rank");
    check(MPI_Comm_size(handle_->comm, &size_), "MPI_Comm_size");
}

Communicator Communicator::world() {
    return Communicator(std::make_shared<Handle>());
}

std::size_t Communicator::broadcast_count(std::size_t count) const {
    std::uint64_t shared = count;
    check(MPI_Bcast(&shared, 1, MPI_UINT64_T, 0, handle_->comm), "MPI_Bcast");
    return shared;
}

void Communicator::broadcast_bytes(std::span<std::byte> bytes) const {
    // MPI counts in int, so files beyond 2 GiB go in pieces.
    constexpr std::size_t piece = std::size_t{1} << 30;
    for (std::size_t done = 0; done < bytes.size(); done += piece) {
        const int count = static_cast<int>(std::min(piece, bytes.size() - done));
        check(MPI_Bcast(bytes.data() + done, count, MPI_BYTE, 0, handle_->comm), "MPI_Bcast");
    }
}

std::vector<double> Communicator::all_gather(std::span<const double> mine) const {
    const Gathered parts = gathered(mine.size());
    std::vector<double> all(parts.total);
    all_gather_items(parts, sizeof(double), mine.data(), all.data());
    return all;
}

Communicator::Gathered Communicator::gathered(std::size_t mine) const {
    const std::uint64_t count = mine;
    std::vector<std::uint64_t> counts(static_cast<std::size_t>(size_));
    check(MPI_Allgather(&count, 1, MPI_UINT64_T, counts.data(), 1, MPI_UINT64_T, handle_->comm),
          "MPI_Allgather");
    Gathered parts;
    for (const std::uint64_t part : counts) {
        parts.offsets.push_back(static_cast<int>(parts.total));
        parts.counts.push_back(static_cast<int>(part));
        parts.total += part;
        if (parts.total > INT_MAX)
            throw core::InternalError(
                fmt::format("all_gather: the ranks have {} values and more together, at most {} "
                            "can be gathered",
                            parts.total, INT_MAX));
    }
    return parts;
}

void Communicator::all_gather_items(const Gathered& parts, std::size_t item_bytes, const void* mine,
                                    void* all) const {
    // An item is a type of MPI's, as that counts in int.
    MPI_Datatype item = MPI_DATATYPE_NULL;
    check(MPI_Type_contiguous(static_cast<int>(item_bytes), MPI_BYTE, &item),
          "MPI_Type_contiguous");
    check(MPI_Type_commit(&item), "MPI_Type_commit");
    const int code = MPI_Allgatherv(mine, parts.counts[static_cast<std::size_t>(rank_)], item, all,
                                    parts.counts.data(), parts.offsets.data(), item, handle_->comm);
    MPI_Type_free(&item);
    check(code, "MPI_Allgatherv");
}

namespace {

/// Where the parts of an exchange lie in a buffer, as MPI takes them.
struct Parts {
    std::vector<int> counts;
    std::vector<int> offsets;

    void add(std::size_t count) {
        offsets.push_back(counts.empty() ? 0 : offsets.back() + counts.back());
        counts.push_back(static_cast<int>(count));
    }
    [[nodiscard]] std::size_t total() const {
        return static_cast<std::size_t>(offsets.back() + counts.back());
    }
};

/// Sums one piece of all items: [first, first + total.size()) of vectors that are `stride` long.
/// Each rank gets its slice of the piece from all ranks, adds it up, and gives the sum to all.
void sum_piece(MPI_Comm comm, int rank, int ranks, std::size_t items, std::span<const float> mine,
               std::size_t stride, std::size_t first, std::span<float> total) {
    const std::size_t my_items = partition(items, ranks, rank).size();
    const IndexRange my_slice = partition(total.size(), ranks, rank);
    Parts out;
    Parts in;
    Parts slices;
    std::vector<float> sent;
    for (int r = 0; r < ranks; ++r) {
        const IndexRange slice = partition(total.size(), ranks, r);
        out.add(my_items * slice.size());
        in.add(partition(items, ranks, r).size() * my_slice.size());
        slices.add(slice.size());
        for (std::size_t i = 0; i < my_items; ++i) {
            const auto begin =
                mine.begin() + static_cast<std::ptrdiff_t>(i * stride + first + slice.first);
            sent.insert(sent.end(), begin, begin + static_cast<std::ptrdiff_t>(slice.size()));
        }
    }
    HDAP_CHECK(sent.size() == out.total(), sent.size(), out.total());
    HDAP_CHECK(in.total() == items * my_slice.size(), in.total(), items, my_slice.size());
    std::vector<float> received(in.total());
    check(MPI_Alltoallv(sent.data(), out.counts.data(), out.offsets.data(), MPI_FLOAT,
                        received.data(), in.counts.data(), in.offsets.data(), MPI_FLOAT, comm),
          "MPI_Alltoallv");
    // Ranks hold items in ascending order, so what was received is in the order of the items.
    std::vector<float> sum(received.begin(),
                           received.begin() + static_cast<std::ptrdiff_t>(my_slice.size()));
    for (std::size_t i = my_slice.size(); i < received.size(); i += my_slice.size())
        for (std::size_t k = 0; k < my_slice.size(); ++k)
            sum[k] += received[i + k];
    check(MPI_Allgatherv(sum.data(), static_cast<int>(sum.size()), MPI_FLOAT, total.data(),
                         slices.counts.data(), slices.offsets.data(), MPI_FLOAT, comm),
          "MPI_Allgatherv");
}

} // namespace

void Communicator::sum_in_order(std::size_t items, std::span<const float> mine,
                                std::span<float> total) const {
    if (items == 0 || mine.size() != partition(items, size_, rank_).size() * total.size())
        throw core::InternalError(
            fmt::format("sum_in_order: got {} numbers for this rank's share of {} vectors of {}",
                        mine.size(), items, total.size()));
    // In pieces, so that the buffers stay small and MPI's int counts suffice.
    const std::size_t piece =
        std::max<std::size_t>((std::size_t{1} << 22) / items, static_cast<std::size_t>(size_));
    for (std::size_t first = 0; first < total.size(); first += piece)
        sum_piece(handle_->comm, rank_, size_, items, mine, total.size(), first,
                  total.subspan(first, std::min(piece, total.size() - first)));
}

bool Communicator::any(bool mine) const {
    int value = mine ? 1 : 0;
    check(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_INT, MPI_MAX, handle_->comm), "MPI_Allreduce");
    return value != 0;
}

void Communicator::on_root(const std::function<void()>& work) const {
    std::optional<Failure> failure;
    if (is_root()) failure = run_caught(work);
    int failed = failure ? 1 : 0;
    check(MPI_Bcast(&failed, 1, MPI_INT, 0, handle_->comm), "MPI_Bcast");
    if (failed != 0) throw_agreed(handle_->comm, 0, failure);
}

void Communicator::on_every_rank(const std::function<void()>& work) const {
    const std::optional<Failure> failure = run_caught(work);
    int lowest = failure ? rank_ : INT_MAX;
    check(MPI_Allreduce(MPI_IN_PLACE, &lowest, 1, MPI_INT, MPI_MIN, handle_->comm),
          "MPI_Allreduce");
    if (lowest != INT_MAX) throw_agreed(handle_->comm, lowest, failure);
}

void Communicator::send(int destination, int tag, std::span<const std::byte> bytes) const {
    check(MPI_Send(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, destination, tag,
                   handle_->comm),
          "MPI_Send");
}

bool Communicator::try_receive(Message& message) const {
    int arrived = 0;
    MPI_Status status;
    check(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, handle_->comm, &arrived, &status), "MPI_Iprobe");
    if (arrived == 0) return false;
    int count = 0;
    check(MPI_Get_count(&status, MPI_BYTE, &count), "MPI_Get_count");
    message.source = status.MPI_SOURCE;
    message.tag = status.MPI_TAG;
    message.bytes.resize(static_cast<std::size_t>(count));
    check(MPI_Recv(message.bytes.data(), count, MPI_BYTE, message.source, message.tag,
                   handle_->comm, MPI_STATUS_IGNORE),
          "MPI_Recv");
    return true;
}

Communicator::Node Communicator::node() const {
    MPI_Comm local = MPI_COMM_NULL;
    check(MPI_Comm_split_type(handle_->comm, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &local),
          "MPI_Comm_split_type");
    Node node;
    MPI_Comm_rank(local, &node.rank);
    MPI_Comm_size(local, &node.size);
    MPI_Comm_free(&local);
    return node;
}

std::vector<std::string> Communicator::gather_texts(const std::string& mine) const {
    const int length = static_cast<int>(mine.size());
    std::vector<int> lengths(static_cast<std::size_t>(size_));
    check(MPI_Gather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, 0, handle_->comm),
          "MPI_Gather");
    std::vector<int> offsets(lengths.size(), 0);
    std::partial_sum(lengths.begin(), lengths.end() - 1, offsets.begin() + 1);
    std::string all(is_root() ? static_cast<std::size_t>(offsets.back() + lengths.back()) : 0, ' ');
    check(MPI_Gatherv(mine.data(), length, MPI_CHAR, all.data(), lengths.data(), offsets.data(),
                      MPI_CHAR, 0, handle_->comm),
          "MPI_Gatherv");
    std::vector<std::string> texts;
    if (is_root())
        for (std::size_t i = 0; i < lengths.size(); ++i)
            texts.push_back(all.substr(static_cast<std::size_t>(offsets[i]),
                                       static_cast<std::size_t>(lengths[i])));
    return texts;
}

IndexRange partition(std::size_t count, int ranks, int rank) noexcept {
    const auto parts = static_cast<std::size_t>(ranks);
    const auto index = static_cast<std::size_t>(rank);
    const std::size_t least = count / parts;
    const std::size_t larger = count % parts; // so many parts have one item more
    const std::size_t first = index * least + std::min(index, larger);
    return {first, first + least + (index < larger ? 1 : 0)};
}

} // namespace hdap::parallel

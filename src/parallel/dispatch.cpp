#include "hdap/parallel/dispatch.hpp"

#include "hdap/core/check.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>

namespace hdap::parallel {
namespace {

using namespace std::chrono_literals;

/// How long a main thread sleeps when there is nothing to do. Evaluations take many milliseconds,
/// so this costs nothing beside them and leaves the core to the evaluating thread.
constexpr auto nap = 200us;

constexpr std::size_t most_error_text = 4000;

enum Tag : int {
    tag_idle = 1, ///< worker → root: so many threads are idle
    tag_result,   ///< worker → root: an item's result; its thread is idle
    tag_failure,  ///< worker → root: an item's error; its thread is idle
    tag_stop,     ///< worker → root: this rank was asked to stop
    tag_cancel,   ///< worker → root, root → worker: cancel what is being evaluated
    tag_notice,   ///< worker → root: this rank has a notice
    tag_item,     ///< root → worker: evaluate this item
    tag_finish,   ///< root → worker: there is no more
};

/// What became of one item.
struct Completion {
    std::size_t item = 0;
    std::vector<double> values;
    std::optional<core::ErrorKind> failure;
    std::string message;
};

/// Serialises a completion: item, failure kind or -1, then the values or the message.
std::vector<std::byte> pack(const Completion& completion) {
    struct Header {
        std::uint64_t item;
        std::int64_t failure;
    };
    const Header header{completion.item,
                        completion.failure ? static_cast<std::int64_t>(*completion.failure) : -1};
    const std::size_t text = std::min(completion.message.size(), most_error_text);
    const std::size_t body = completion.failure ? text : completion.values.size() * sizeof(double);
    std::vector<std::byte> bytes(sizeof header + body);
    std::memcpy(bytes.data(), &header, sizeof header);
    const void* source = completion.failure ? static_cast<const void*>(completion.message.data())
                                            : static_cast<const void*>(completion.values.data());
    if (body > 0) std::memcpy(bytes.data() + sizeof header, source, body);
    return bytes;
}

Completion unpack(std::span<const std::byte> bytes) {
    Completion completion;
    std::uint64_t item = 0;
    std::int64_t failure = 0;
    std::memcpy(&item, bytes.data(), sizeof item);
    std::memcpy(&failure, bytes.data() + sizeof item, sizeof failure);
    const auto body = bytes.subspan(sizeof item + sizeof failure);
    completion.item = item;
    if (failure >= 0) {
        completion.failure = static_cast<core::ErrorKind>(failure);
        completion.message.assign(reinterpret_cast<const char*>(body.data()), body.size());
    } else {
        completion.values.resize(body.size() / sizeof(double));
        if (!body.empty()) std::memcpy(completion.values.data(), body.data(), body.size());
    }
    return completion;
}

/// Runs `work` and returns its error as the failure of `item`, if it throws one.
std::optional<Completion> caught(std::size_t item, const std::function<void()>& work) {
    try {
        work();
        return std::nullopt;
    } catch (const core::Error& error) {
        return Completion{item, {}, error.kind(), error.what()};
    } catch (const std::exception& error) {
        return Completion{item, {}, core::ErrorKind::internal, error.what()};
    }
}

template <class T>
std::vector<std::byte> pack_number(T value) {
    std::vector<std::byte> bytes(sizeof value);
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
}

template <class T>
T unpack_number(std::span<const std::byte> bytes) {
    T value{};
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
}

/// The evaluating threads of one rank.
class ThreadPool {
  public:
    using Evaluate = decltype(DispatchTask::evaluate);

    ThreadPool(int threads, const Evaluate& evaluate) : evaluate_(evaluate) {
        for (int i = 0; i < threads; ++i)
            threads_.emplace_back([this] { run(); });
    }
    ~ThreadPool() {
        {
            const std::lock_guard lock(mutex_);
            closing_ = true;
        }
        work_arrived_.notify_all();
        for (std::thread& thread : threads_)
            thread.join();
    }
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    void submit(std::size_t item) {
        {
            const std::lock_guard lock(mutex_);
            waiting_.push_back(item);
        }
        work_arrived_.notify_one();
    }

    /// Asks the evaluations under way, and those that wait, to give up.
    void cancel() { cancellation_.request_stop(); }
    [[nodiscard]] bool is_cancelled() const { return cancellation_.stop_requested(); }

    /// The next completed item; waits for `nap` at most.
    std::optional<Completion> next_completion() {
        std::unique_lock lock(mutex_);
        if (!completed_.empty() ||
            completion_arrived_.wait_for(lock, nap, [&] { return !completed_.empty(); })) {
            Completion completion = std::move(completed_.front());
            completed_.pop_front();
            return completion;
        }
        return std::nullopt;
    }

  private:
    void run() {
        for (;;) {
            std::unique_lock lock(mutex_);
            work_arrived_.wait(lock, [&] { return closing_ || !waiting_.empty(); });
            if (waiting_.empty()) return;
            const std::size_t item = waiting_.front();
            waiting_.pop_front();
            lock.unlock();
            Completion completion = evaluated(item);
            lock.lock();
            completed_.push_back(std::move(completion));
            completion_arrived_.notify_one();
        }
    }

    Completion evaluated(std::size_t item) const {
        Completion completion{.item = item, .values = {}, .failure = {}, .message = {}};
        const auto failed =
            caught(item, [&] { completion.values = evaluate_(item, cancellation_.get_token()); });
        return failed ? *failed : completion;
    }

    const Evaluate& evaluate_;
    std::stop_source cancellation_;
    std::mutex mutex_;
    std::condition_variable work_arrived_;
    std::condition_variable completion_arrived_;
    std::deque<std::size_t> waiting_;
    std::deque<Completion> completed_;
    bool closing_ = false;
    std::vector<std::thread> threads_;
};

/// The root's side: knows what is out where, gives out the rest.
class Root {
  public:
    Root(const Communicator& communicator, const DispatchTask& task, ThreadPool& pool)
        : communicator_(communicator), task_(task), pool_(pool) {}

    DispatchOutcome run() {
        for (int i = 0; i < task_.threads; ++i)
            give(0);
        while (outstanding_ > 0 || (!stopping_ && next_ < task_.items)) {
            if (task_.should_stop && task_.should_stop()) stopping_ = true;
            if (!pool_.is_cancelled() && task_.should_cancel && task_.should_cancel()) cancel();
            if (task_.has_notice && task_.has_notice()) take_notice();
            if (task_.on_wait) guarded(task_.items, task_.on_wait);
            if (auto completion = pool_.next_completion()) {
                take(*completion);
                give(0);
            }
            Message message;
            while (communicator_.try_receive(message))
                handle(message);
        }
        finish_workers();
        if (failure_) throw core::Error(*failure_->failure, failure_->message);
        return done_ == task_.items ? DispatchOutcome::complete : DispatchOutcome::stopped;
    }

  private:
    /// Gives the next item to a thread of `rank`, if there is one to give.
    void give(int rank) {
        if (stopping_ || next_ >= task_.items) return;
        const std::size_t item = next_++;
        ++outstanding_;
        if (rank == 0)
            pool_.submit(item);
        else
            communicator_.send(rank, tag_item, pack_number<std::uint64_t>(item));
    }

    void take(const Completion& completion) {
        HDAP_CHECK(outstanding_ > 0, completion.item, outstanding_);
        HDAP_CHECK(completion.item < next_, completion.item, next_);
        --outstanding_;
        if (!completion.failure) {
            if (completion.values.empty() && stopping_) return; // given up
            ++done_;
            if (task_.on_result)
                guarded(completion.item,
                        [&] { task_.on_result(completion.item, completion.values); });
        } else {
            fail(completion);
        }
    }

    void fail(const Completion& failed) {
        stopping_ = true;
        if (!failure_ || failed.item < failure_->item) failure_ = failed;
    }

    void cancel() {
        stopping_ = true;
        pool_.cancel();
        for (int rank = 1; rank < communicator_.size(); ++rank)
            communicator_.send(rank, tag_cancel, {});
    }

    void take_notice() {
        if (task_.on_notice) guarded(task_.items, task_.on_notice);
    }

    /// Runs a caller's function. Its error must not keep the workers waiting for ever, so it is
    /// kept until all of them have finished.
    void guarded(std::size_t item, const std::function<void()>& work) {
        if (auto failed = caught(item, work)) fail(*failed);
    }

    void handle(const Message& message) {
        switch (message.tag) {
        case tag_idle:
            for (int i = unpack_number<int>(message.bytes); i > 0; --i)
                give(message.source);
            break;
        case tag_stop:
            stopping_ = true;
            break;
        case tag_cancel:
            if (!pool_.is_cancelled()) cancel();
            break;
        case tag_notice:
            take_notice();
            break;
        default:
            take(unpack(message.bytes));
            give(message.source);
        }
    }

    /// Every worker says farewell with tag_finish, so that no message of this call is left for
    /// the next one.
    void finish_workers() {
        for (int rank = 1; rank < communicator_.size(); ++rank)
            communicator_.send(rank, tag_finish, {});
        for (int waiting = communicator_.size() - 1; waiting > 0;) {
            Message message;
            if (!communicator_.try_receive(message)) {
                std::this_thread::sleep_for(nap);
                continue;
            }
            // Every item is back, so no result can be lost here.
            HDAP_CHECK(message.tag != tag_result && message.tag != tag_failure, message.source);
            if (message.tag == tag_finish)
                --waiting;
            else if (message.tag == tag_notice)
                take_notice();
        }
    }

    const Communicator& communicator_;
    const DispatchTask& task_;
    ThreadPool& pool_;
    std::size_t next_ = 0;
    std::size_t outstanding_ = 0;
    std::size_t done_ = 0;
    bool stopping_ = false;
    std::optional<Completion> failure_;
};

/// The other ranks' side: evaluate what the root sends, until it says that there is no more.
void run_worker(const Communicator& communicator, const DispatchTask& task, ThreadPool& pool) {
    communicator.send(0, tag_idle, pack_number<int>(task.threads));
    bool stop_told = false;
    bool cancel_told = false;
    for (;;) {
        if (!stop_told && task.should_stop && task.should_stop()) {
            communicator.send(0, tag_stop, {});
            stop_told = true;
        }
        if (!cancel_told && task.should_cancel && task.should_cancel()) {
            communicator.send(0, tag_cancel, {});
            cancel_told = true;
        }
        if (task.has_notice && task.has_notice()) communicator.send(0, tag_notice, {});
        if (auto completion = pool.next_completion())
            communicator.send(0, completion->failure ? tag_failure : tag_result, pack(*completion));
        Message message;
        while (communicator.try_receive(message)) {
            if (message.tag == tag_finish) {
                communicator.send(0, tag_finish, {});
                return;
            }
            HDAP_CHECK(message.tag == tag_cancel || message.tag == tag_item, message.tag);
            if (message.tag == tag_cancel)
                pool.cancel();
            else
                pool.submit(unpack_number<std::uint64_t>(message.bytes));
        }
    }
}

} // namespace

DispatchOutcome dispatch(const Communicator& communicator, const DispatchTask& task) {
    DispatchOutcome outcome = DispatchOutcome::complete;
    communicator.on_every_rank([&] {
        ThreadPool pool(task.threads, task.evaluate);
        if (communicator.is_root())
            outcome = Root(communicator, task, pool).run();
        else
            run_worker(communicator, task, pool);
    });
    // Every rank learns how it ended.
    return communicator.any(outcome == DispatchOutcome::stopped) ? DispatchOutcome::stopped
                                                                 : DispatchOutcome::complete;
}

} // namespace hdap::parallel

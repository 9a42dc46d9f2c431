// Runs a fuzz target without libFuzzer, so that GCC builds can fuzz, too: every file of a corpus,
// then random mutations of them. Deterministic: the same arguments try the same inputs.
//
//   fuzz_x CORPUS_FOLDER EXECUTIONS [SEED]
//   fuzz_x CORPUS_FOLDER SECONDSs [SEED]      for so long, e.g. 60s
#include "hdap/core/random.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;
using hdap::core::RandomStream;

std::vector<Bytes> read_corpus(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    std::vector<Bytes> corpus;
    for (const auto& file : files) {
        std::ifstream stream(file, std::ios::binary);
        corpus.emplace_back(std::istreambuf_iterator<char>(stream),
                            std::istreambuf_iterator<char>());
    }
    return corpus;
}

/// One small change: a bit, a byte, a cut, a repetition, a splice with another input, or a number
/// at the edge of its type.
void mutate(Bytes& input, const std::vector<Bytes>& corpus, RandomStream& random) {
    const auto at = [&](const Bytes& bytes) {
        return static_cast<std::ptrdiff_t>(random.below(bytes.size() + 1));
    };
    const auto part = [&](const Bytes& bytes) {
        std::ptrdiff_t first = at(bytes);
        std::ptrdiff_t last = at(bytes);
        if (first > last) std::swap(first, last);
        return std::pair(first, last);
    };
    constexpr const char* tokens[] = {
        "-1", "0",  "1e999", "nan", "18446744073709551616", "\"", "[", "=",
        ",",  "\n", "..",    "<=",  "\xff\xff\xff\xff",     "x"};
    switch (random.below(6)) {
    case 0:
        if (!input.empty())
            input[random.below(input.size())] ^= std::uint8_t(1U << random.below(8));
        break;
    case 1:
        if (!input.empty()) input[random.below(input.size())] = std::uint8_t(random.below(256));
        break;
    case 2: {
        const auto [first, last] = part(input);
        input.erase(input.begin() + first, input.begin() + last);
        break;
    }
    case 3: {
        const auto [first, last] = part(input);
        const Bytes copy(input.begin() + first, input.begin() + last);
        input.insert(input.begin() + at(input), copy.begin(), copy.end());
        break;
    }
    case 4: {
        const Bytes& other = corpus[random.below(corpus.size())];
        const auto [first, last] = part(other);
        input.insert(input.begin() + at(input), other.begin() + first, other.begin() + last);
        break;
    }
    default: {
        const std::string_view token = tokens[random.below(std::size(tokens))];
        input.insert(input.begin() + at(input), token.begin(), token.end());
    }
    }
    constexpr std::size_t most_bytes = 1U << 16;
    if (input.size() > most_bytes) input.resize(most_bytes);
}

/// A signal handler reaches nothing but objects of static storage duration.
const Bytes* current_input = nullptr;

void keep_current_input() {
    std::ofstream("crash-input", std::ios::binary)
        .write(reinterpret_cast<const char*>(current_input->data()),
               static_cast<std::streamsize>(current_input->size()));
    std::fprintf(stderr, "the input that made the target fail is in crash-input\n");
}

void on_crash(int signal) {
    keep_current_input();
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

/// Runs the target. An exception that it lets through reaches on_crash by std::terminate.
void run_target(const Bytes& input) noexcept {
    current_input = &input;
    LLVMFuzzerTestOneInput(input.data(), input.size());
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: %s CORPUS_FOLDER EXECUTIONS [SEED]\n", argv[0]);
        return 2;
    }
    const std::vector<Bytes> corpus = read_corpus(argv[1]);
    if (corpus.empty()) {
        std::fprintf(stderr, "%s: no corpus in %s\n", argv[0], argv[1]);
        return 2;
    }
    for (const int signal : {SIGABRT, SIGSEGV, SIGILL, SIGTRAP, SIGFPE})
        std::signal(signal, on_crash);
    char* unit = nullptr;
    const auto amount = std::strtoul(argv[2], &unit, 10);
    const bool timed = *unit == 's';
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(amount);
    const auto seed = argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 1;
    for (const Bytes& input : corpus)
        run_target(input);
    std::uint32_t tried = 0;
    for (; timed ? std::chrono::steady_clock::now() < end : tried < amount; ++tried) {
        RandomStream random(seed, hdap::core::StreamId::testing, tried);
        Bytes input = corpus[random.below(corpus.size())];
        for (std::uint64_t changes = 1 + random.below(8); changes > 0; --changes)
            mutate(input, corpus, random);
        run_target(input);
    }
    std::printf("%lu inputs, none made the target fail\n", tried + corpus.size());
    return 0;
}

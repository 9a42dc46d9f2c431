#include "evaluated_candidate.hpp"

#include <cstring>
#include <string>

namespace hdap::search {
namespace {

constexpr std::size_t head = 5; ///< numbers in front of the texts

void append(std::vector<double>& numbers, const std::string& text) {
    const std::size_t at = numbers.size();
    numbers.resize(at + 1 + (text.size() + sizeof(double) - 1) / sizeof(double));
    numbers[at] = static_cast<double>(text.size());
    std::memcpy(numbers.data() + at + 1, text.data(), text.size());
}

/// Takes a text from the front of `numbers`.
std::string take_text(std::span<const double>& numbers) {
    const auto size = static_cast<std::size_t>(numbers.front());
    std::string text(size, '\0');
    std::memcpy(text.data(), numbers.data() + 1, size);
    numbers = numbers.subspan(1 + (size + sizeof(double) - 1) / sizeof(double));
    return text;
}

} // namespace

std::vector<double> packed(const EvaluatedCandidate& candidate) {
    std::vector<double> numbers{
        candidate.accuracy.value, static_cast<double>(candidate.accuracy.given_up_after),
        candidate.seconds, candidate.while_stopping ? 1.0 : 0.0, candidate.failure ? 1.0 : 0.0};
    if (const auto& failure = candidate.failure)
        for (const std::string* text :
             {&failure->reason, &failure->output, &failure->network, &failure->format})
            append(numbers, *text);
    return numbers;
}

EvaluatedCandidate unpacked(std::span<const double> numbers) {
    EvaluatedCandidate candidate{.accuracy = {numbers[0], static_cast<std::int64_t>(numbers[1])},
                                 .seconds = numbers[2],
                                 .while_stopping = numbers[3] != 0.0};
    if (numbers[4] == 0.0) return candidate;
    numbers = numbers.subspan(head);
    accuracy::FailureEvidence& failure = candidate.failure.emplace();
    for (std::string* text : {&failure.reason, &failure.output, &failure.network, &failure.format})
        *text = take_text(numbers);
    return candidate;
}

} // namespace hdap::search

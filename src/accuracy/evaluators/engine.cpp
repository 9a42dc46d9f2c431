#include "evaluators.hpp"
#include "hdap/accuracy/image_fit.hpp"
#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <utility>

namespace hdap::accuracy {
namespace {

/// The images in `images`, or an error that says what to set.
ImageData given(std::optional<ImageData> images, const char* what) {
    if (!images || images->count == 0)
        throw core::ConfigError(fmt::format("accuracies need {}: set data.file, accuracy.command, "
                                            "or objectives and constraints that need no accuracy",
                                            what));
    return std::move(*images);
}

/// Top-1 accuracy on held-out images, computed by the engine. A genome gets the same bits in any
/// thread and process.
class EngineEvaluator : public CandidateEvaluator {
  public:
    explicit EngineEvaluator(EvaluatorInputs inputs)
        : network_(inputs.network),
          recalibration_(given(std::move(inputs.recalibration), "images for recalibration")),
          held_out_(given(std::move(inputs.held_out), "held-out images")),
          parameters_(std::move(inputs.evaluation)) {
        check_weights_of(network_);
        check_evaluation(parameters_);
        check_fit(network_.network, recalibration_, "images for recalibration");
        check_fit(network_.network, held_out_, "held-out images");
    }

    [[nodiscard]] std::optional<CandidateAccuracy>
    accuracy(const network::Genome& genome, const EarlyStop& rule,
             const std::stop_token& cancelled) const override {
        const network::PrunedNetwork pruned = network_.prune(genome);
        const auto weights = recalibrate_batch_norm(pruned.network, pruned.weights, recalibration_,
                                                    parameters_, cancelled);
        if (!weights) return std::nullopt;
        return top1_accuracy(pruned.network, *weights, held_out_, parameters_, rule, cancelled);
    }

    [[nodiscard]] int workers(int threads) const override { return threads; }
    [[nodiscard]] bool gives_up() const override { return true; }
    [[nodiscard]] double chance_accuracy() const override {
        return 1.0 / static_cast<double>(held_out_.classes);
    }
    [[nodiscard]] std::string identity() const override { return computing_identity(); }

  private:
    const network::Prunable& network_;
    ImageData recalibration_;
    ImageData held_out_;
    EvaluationParameters parameters_;
};

} // namespace

std::unique_ptr<CandidateEvaluator> make_engine_evaluator(EvaluatorInputs inputs) {
    return std::make_unique<EngineEvaluator>(std::move(inputs));
}

} // namespace hdap::accuracy

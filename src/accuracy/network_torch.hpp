#pragma once

#include "hdap/accuracy/image_data.hpp"
#include "hdap/core/error.hpp"
#include "hdap/network/weights.hpp"

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace hdap::accuracy {

/// The parameters of one node; undefined where the operator has none.
struct NodeParameters {
    at::Tensor weight;
    at::Tensor bias;
    at::Tensor running_mean; ///< batch_norm
    at::Tensor running_var;  ///< batch_norm
};

/// Where and how a network is executed.
struct Backend {
    at::Device device{at::kCPU};
    /// Channels-last tensors and batch norms of our own, on the CPU alone; else LibTorch's
    /// defaults.
    bool own_kernels = true;

    [[nodiscard]] at::MemoryFormat layout() const noexcept {
        return own_kernels ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
    }
};

/// A network that LibTorch executes. Values between the layers are tensors of
/// [images][channels][height][width] in the backend's layout.
class TorchNetwork {
  public:
    /// Throws DataError when the weights do not fit.
    TorchNetwork(network::Network network, const network::Weights& weights,
                 const Backend& backend = {});

    /// Logits, [images][classes]: the first output. Batch norms use their running statistics.
    [[nodiscard]] at::Tensor forward(const at::Tensor& images) const;

    /// As `forward`, with what autograd needs for the gradients of the parameters.
    [[nodiscard]] at::Tensor forward_gradient(const at::Tensor& images) const;

    /// Logits, [images][classes], for the gradient. Batch norms use the statistics of `images`;
    /// their running statistics move towards these by a tenth, as is PyTorch's default.
    [[nodiscard]] at::Tensor forward_training(const at::Tensor& images);

    [[nodiscard]] const network::Network& network() const noexcept { return network_; }
    [[nodiscard]] std::vector<NodeParameters>& parameters() noexcept { return parameters_; }

    /// Overwrites the network's tensors in `weights` with the present parameters.
    void store(network::Weights& weights) const;

  private:
    /// `gradient`: batch norms as in inference, but nothing that autograd needs is overwritten.
    enum class Mode { inference, training, gradient };

    at::Tensor run(const at::Tensor& images, Mode mode, double momentum) const;
    at::Tensor apply(std::size_t index, std::vector<at::Tensor>& values, Mode mode,
                     double momentum) const;
    [[nodiscard]] bool may_overwrite(std::size_t index, Mode mode) const;
    at::Tensor normalise(std::size_t index, const at::Tensor& input, Mode mode,
                         double momentum) const;

    /// In the backend's layout.
    [[nodiscard]] at::Tensor arranged(const at::Tensor& tensor) const;

    network::Network network_;
    Backend backend_;
    std::vector<NodeParameters> parameters_;
    std::vector<std::size_t> outputs_;
    std::vector<int> consumers_;  ///< per node: how often its output is read, outputs included
    std::vector<bool> exclusive_; ///< per node: nothing but its one consumer can see its memory
};

/// An uninitialised batch whose memory is [images][height][width][channels].
at::Tensor empty_batch(std::int64_t count, const ImageData& images);

/// Calls `body`; errors of LibTorch come out as InternalError.
template <class Body>
auto translate_errors(const Body& body) -> decltype(body()) {
    try {
        return body();
    } catch (const c10::Error& error) {
        throw core::InternalError(std::string("LibTorch: ") + error.what_without_backtrace());
    }
}

} // namespace hdap::accuracy

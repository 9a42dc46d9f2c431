#pragma once

#include "hdap/core/error.hpp"
#include "hdap/network/graph.hpp"
#include "hdap/network/normalisation.hpp"
#include "hdap/network/weights.hpp"

#include <fmt/core.h>
#include <torch/csrc/jit/api/module.h>

#include <cstddef>
#include <exception>
#include <new>
#include <optional>
#include <span>
#include <string>

namespace hdap::network {

/// A module from a TorchScript archive, in evaluation mode, its tensors in the processor's memory.
struct LoadedModule {
    torch::jit::Module module;
    std::optional<TensorShape> input;           ///< of an image, where the archive tells it
    std::optional<Normalisation> normalisation; ///< where the archive tells it
};

/// Loads a module from the bytes of an archive, after check_torchscript_archive. Throws DataError.
LoadedModule load_module(std::span<const std::byte> bytes, const std::string& name);

/// Throws DataError when `tensor` reaches outside of its memory, which LibTorch 1.13 does not
/// check, or is stored in another way than as plain floats, integers or booleans. `what` names it
/// in messages.
void check_tensor(const at::Tensor& tensor, const std::string& what);

/// A copy of `tensor`, which check_tensor accepts, as floats.
Tensor to_floats(const at::Tensor& tensor);

/// The first line of a message of LibTorch's, at most 300 characters of it.
std::string first_line(const std::string& message);

/// Calls `body`; what LibTorch throws comes out as a DataError about `doing` with the file `name`.
template <class Body>
auto as_data_error(const std::string& name, const std::string& doing, const Body& body)
    -> decltype(body()) {
    try {
        return body();
    } catch (const core::Error&) {
        throw;
    } catch (const std::bad_alloc&) {
        throw;
    } catch (const c10::Error& error) {
        throw core::DataError(fmt::format("{}: LibTorch cannot {}: {}", name, doing,
                                          first_line(error.what_without_backtrace())));
    } catch (const std::exception& error) {
        throw core::DataError(
            fmt::format("{}: LibTorch cannot {}: {}", name, doing, first_line(error.what())));
    }
}

} // namespace hdap::network

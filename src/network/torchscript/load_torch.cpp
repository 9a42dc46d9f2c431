#include "load_torch.hpp"

#include "archive.hpp"

#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <sstream>
#include <utility>

namespace hdap::network {

LoadedModule load_module(std::span<const std::byte> bytes, const std::string& name) {
    check_torchscript_archive(bytes, name);
    return as_data_error(name, "load the module", [&] {
        std::istringstream stream(
            std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
        torch::jit::ExtraFilesMap extra{
            {input_shape_record, ""}, {mean_key, ""}, {deviation_key, ""}, {order_key, ""}};
        LoadedModule loaded{torch::jit::load(stream, c10::Device(c10::kCPU), extra), {}, {}};
        loaded.module.eval();
        loaded.input = parse_input_shape(extra.at(input_shape_record));
        const std::string& mean = extra.at(mean_key);
        const std::string& deviation = extra.at(deviation_key);
        if (!mean.empty() || !deviation.empty())
            loaded.normalisation = parse_normalisation(mean, deviation, extra.at(order_key), name);
        return loaded;
    });
}

void check_tensor(const at::Tensor& tensor, const std::string& what) {
    if (!tensor.defined() || tensor.layout() != at::kStrided || !tensor.device().is_cpu() ||
        tensor.is_quantized() || at::isComplexType(tensor.scalar_type()))
        throw core::DataError(what + " is not stored as plain numbers (quantised, sparse or "
                                     "complex); export the network in float32");
    if (tensor.numel() == 0) return;
    // The place of the last element, counted so that hostile sizes cannot overflow.
    long double last = static_cast<long double>(tensor.storage_offset());
    bool negative = tensor.storage_offset() < 0;
    for (std::int64_t d = 0; d < tensor.dim(); ++d) {
        negative = negative || tensor.stride(d) < 0 || tensor.size(d) < 0;
        last += static_cast<long double>(tensor.size(d) - 1) *
                static_cast<long double>(tensor.stride(d));
    }
    const std::size_t held = tensor.storage().nbytes() / tensor.itemsize();
    if (negative || last >= static_cast<long double>(held) ||
        static_cast<std::size_t>(tensor.numel()) > held)
        throw core::DataError(what + " reaches outside of its memory: the file is damaged");
}

Tensor to_floats(const at::Tensor& tensor) {
    const at::Tensor values = tensor.detach().to(at::kFloat).contiguous();
    const float* const first = values.data_ptr<float>();
    return {.shape = values.sizes().vec(),
            .values = std::vector<float>(first, first + values.numel())};
}

std::string first_line(const std::string& message) {
    constexpr std::size_t longest = 300;
    const std::size_t begin = std::min(message.find_first_not_of(" \n"), message.size());
    return message.substr(begin, std::min(message.find('\n', begin) - begin, longest));
}

} // namespace hdap::network

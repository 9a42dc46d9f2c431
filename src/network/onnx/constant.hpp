#pragma once

#include "model.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace hdap::network {

/// A whole number that may contain the size of the batch, which is not known: value ·
/// batch^batches.
struct Integer {
    std::int64_t value = 0;
    int batches = 0;
    bool operator==(const Integer&) const = default;
};

/// A tensor whose elements are known before the network runs: weights, and the results of
/// computations of shapes.
struct Constant {
    std::string name;                ///< of the tensor; for messages, and to name layers
    std::vector<std::int64_t> shape; ///< row-major
    std::variant<std::shared_ptr<std::vector<float>>, std::shared_ptr<std::vector<Integer>>>
        elements;

    [[nodiscard]] bool is_integer() const noexcept { return elements.index() == 1; }
    /// Throw DataError when the elements are of the other kind.
    [[nodiscard]] const std::vector<float>& floats() const;
    [[nodiscard]] const std::vector<Integer>& integers() const;
    /// Throws DataError, as check_values does, unless the elements are finite floats. The channel
    /// that it names is of the first dimension.
    void check_finite() const;
    /// The elements; moved out of the constant where nobody else has it.
    [[nodiscard]] std::vector<float> take_floats() &&;
    [[nodiscard]] std::size_t size() const noexcept;
};

Constant make_constant(std::string name, std::vector<std::int64_t> shape,
                       std::vector<float> elements);
Constant make_constant(std::string name, std::vector<std::int64_t> shape,
                       std::vector<Integer> elements);

/// The elements of a tensor of this shape.
/// Throws DataError when a size is negative, the count exceeds 2^29, or there are more than 16
/// dimensions.
std::int64_t element_count(const std::vector<std::int64_t>& shape);

/// Bounds all that an import copies, shared and expanded tensors included, by a multiple of what
/// the file holds, so that a small file cannot make a large network.
class MemoryBudget {
  public:
    explicit MemoryBudget(std::size_t file_bytes);

    /// Further bytes that belong to the model: external data.
    void add_file_bytes(std::size_t bytes);
    /// Throws DataError when the budget is exceeded.
    void take(std::int64_t elements, std::size_t bytes_each);

  private:
    std::size_t left_;
};

/// Reads tensors of a model, their external data too.
class TensorReader {
  public:
    /// `folder` is that of the model; empty when it has none, so that there is no external data.
    TensorReader(std::filesystem::path folder, MemoryBudget& budget);

    /// The tensor as float or Integer elements.
    /// Throws DataError when its data do not fill its shape, its type is none of numbers, or its
    /// external data are missing or lie outside the folder.
    [[nodiscard]] Constant read(const onnx::TensorProto& tensor);

  private:
    [[nodiscard]] std::string read_external(const onnx::TensorProto& tensor, std::size_t bytes);

    std::filesystem::path folder_;
    MemoryBudget& budget_;
    std::set<std::filesystem::path> external_files_;
};

} // namespace hdap::network

#pragma once

#include "network/network_assembly.hpp"
#include "values_torch.hpp"

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <cstddef>
#include <string>
#include <unordered_map>
#include <vector>

namespace hdap::network::torchscript {

/// One call of a function or method of the program.
struct Frame {
    ObjectAt self; ///< the module whose method it is, or is called from
    std::unordered_map<const torch::jit::Value*, Value> values;
    int depth = 0;
};

/// Runs a TorchScript program on shapes instead of images. Whatever does not depend on the images
/// (sizes, conditions, loops, names of parameters) is evaluated as LibTorch would; operators on
/// what does depend on them append nodes to a network. So a program may be traced, scripted or
/// frozen.
class Reader {
  public:
    Reader(std::string file, NetworkAssembly& assembly)
        : file_(std::move(file)), assembly_(assembly) {}

    /// The outputs of `forward` for images of the assembly's input: nodes, in their order.
    /// Throws DataError, naming operator and place, for what a network here cannot be made of.
    std::vector<std::size_t> run(const torch::jit::Module& module);

    [[nodiscard]] NetworkAssembly& assembly() { return assembly_; }

    /// A tensor with memory of its own.
    Traced in_new_memory(Traced tensor);

    /// `tensor`, or what it became when its memory was overwritten.
    [[nodiscard]] Traced current(const torch::jit::Node& place, const Frame& frame,
                                 const Traced& tensor) const;

    /// Throws DataError about an operator: what, and where in the program.
    [[noreturn]] void fail(const torch::jit::Node& place, const Frame& frame,
                           const std::string& what) const;

  private:
    struct Memory {
        std::size_t version = 0;
        Traced latest; ///< what overwrote it last
    };

    using Values = std::vector<Value>;

    Values call(const torch::jit::Function& function, const Values& arguments, const ObjectAt& self,
                int depth);
    void run_block(const torch::jit::Block& block, Frame& frame);
    void run_node(const torch::jit::Node& node, Frame& frame);
    Values run_call(const torch::jit::Node& node, const Values& arguments, const Frame& frame);
    void run_if(const torch::jit::Node& node, Frame& frame);
    void run_loop(const torch::jit::Node& node, Frame& frame);
    Values run_operator(const torch::jit::Node& node, const Values& arguments, const Frame& frame);
    Values evaluate(const torch::jit::Node& node, const Values& arguments, const Frame& frame);
    Value overwritten(const torch::jit::Node& node, const Frame& frame, const Value& old,
                      Value result);
    Values arguments_of(const torch::jit::Node& node, const Frame& frame) const;
    bool condition(const torch::jit::Node& node, const Frame& frame, const Value& value) const;
    void collect_outputs(const Value& value, std::vector<std::size_t>& outputs);

    std::string file_;
    NetworkAssembly& assembly_;
    std::vector<Memory> memories_;
    std::size_t steps_ = 0;
};

} // namespace hdap::network::torchscript

using Serverless.Inference.Gguf;
using Serverless.Inference.Models;
using Serverless.Inference.Tokenizers;

namespace Serverless.Tests.Inference;

/// <summary>The shipped model, read once for all tests.</summary>
internal static class SharedModel
{
    private static readonly Lazy<GgufFile> LazyFile = new(() => GgufFile.Open(Repository.ModelPath));
    private static readonly Lazy<InferenceModel> LazyModel = new(() => InferenceModel.Load(Repository.ModelPath, null, CancellationToken.None));

    public static GgufFile File => LazyFile.Value;

    public static InferenceModel Model => LazyModel.Value;

    public static Tokenizer Tokenizer => Model.Tokenizer;
}

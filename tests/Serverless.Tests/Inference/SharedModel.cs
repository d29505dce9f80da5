using Serverless.Inference.Gguf;
using Serverless.Inference.Tokenizers;

namespace Serverless.Tests.Inference;

/// <summary>The shipped model's file and tokenizer, read once for all tests.</summary>
internal static class SharedModel
{
    private static readonly Lazy<GgufFile> LazyFile = new(() => GgufFile.Open(Repository.ModelPath));
    private static readonly Lazy<Tokenizer> LazyTokenizer = new(() => Tokenizer.Load(File));

    public static GgufFile File => LazyFile.Value;

    public static Tokenizer Tokenizer => LazyTokenizer.Value;
}

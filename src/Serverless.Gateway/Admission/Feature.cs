namespace Serverless.Gateway.Admission;

/// <summary>What a request may ask of an engine beyond plain sampled text: <see cref="Capabilities"/> says who honours it.</summary>
internal enum Feature
{
    JsonOutput,
    ForcedToolCall,
    StrictTools,
    CustomTools,
    Functions,
    ImageInput,
    AudioInput,
    FileInput,
    AudioOutput,
    WebSearch,
    StoredCompletion,
    LogitBias,
    Penalties,
    BestOf,
    Suffix,
    EchoOfTokens,
    EchoWithLogProbs,
}

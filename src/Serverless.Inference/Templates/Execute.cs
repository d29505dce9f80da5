namespace Serverless.Inference.Templates;

/// <summary>A statement, ready to be run; says whether the loop around it goes on.</summary>
internal delegate LoopSignal Execute(TemplateScope scope);
